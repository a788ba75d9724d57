"""The whole history of a real fleet, with kills, a cut and a deletion, obeys every rule that the simulator checks."""

from __future__ import annotations

from pathlib import Path

from tests.support import deeds
from tests.support.fleet import Fleet
from tests.support.recorded import recorded

MORE = 40


async def _more(it: Fleet, ledger: Path, node: str) -> None:
    def made() -> int:
        path = ledger / f"{node}.kept"
        return len(path.read_text().split()) if path.exists() else 0

    wanted = made() + MORE

    async def grown() -> bool:
        return made() >= wanted

    await it.until(grown, f"the producer on {node} made {MORE} more")


async def test_a_history_of_kills_and_cuts_obeys_every_rule(tmp_path: Path) -> None:
    async with recorded(tmp_path) as record, deeds.site(tmp_path / "f", "oslo", "bergen", wire=True) as it:
        await deeds.declare(it, deeds.producer("numbers", record.ledger))
        await _more(it, record.ledger, "oslo")
        await it.agents["oslo"].daemon.kill()
        await it.agents["oslo"].daemon.start()
        await _more(it, record.ledger, "oslo")
        await it.hub.kill()
        await _more(it, record.ledger, "bergen")
        await it.hub.start()
        await deeds.hub_answers(it)
        it.agents["bergen"].wire.cut()
        await _more(it, record.ledger, "bergen")
        it.agents["bergen"].wire.heal()
        for name in it.agents:
            await it.until(lambda name=name: it.online(name), f"{name} is back")
        await deeds.take_away(it, "service/numbers")
        await deeds.settled(it)
        record.calm()
    for rule in ("A1", "A2", "A4", "A5", "A7", "A9", "A13", "A18", "A19", "nothing lost", "nothing twice"):
        assert record.judged[rule], f"{rule} has judged nothing: {record.judged}"
