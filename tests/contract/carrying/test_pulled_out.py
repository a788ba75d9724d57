"""A stick that is pulled out: before each thing that is done with it, and in the middle of it.

It is a real file system whose disk goes away: from then on who writes gets EIO, and only what was synced is there when
it is put in again.
"""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any

from tests.support import deeds
from tests.support.fleet import Fleet
from tests.support.loopfs import LoopDisk, loop_disk

_LARGE_BYTES = 24_000_000
_SPEC: dict[str, Any] = {
    "apiVersion": "skerry/v1",
    "kind": "Service",
    "metadata": {"name": "beat"},
    "spec": {
        "artifact": "./beat",
        "process": {"command": ["./beat.sh"]},
        "placement": {"selector": "*", "count": "all"},
    },
}


async def _run(it: Fleet, program: str, *words: str) -> tuple[int, str]:
    data = ("--data", str(it.agents["oslo"].data)) if program == "skerry-agent" else ()
    code, said = await it.command(*words, *data, program=program, check=False)
    assert "Traceback" not in said, said
    return code, " ".join(said.split())


async def test_a_stick_that_is_not_there_any_more_is_told_and_once_it_is_back_all_goes_on(tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    async with deeds.site(tmp_path / "fleet", "oslo", wire=True) as it:
        it.agents["oslo"].wire.cut()
        await deeds.declare(it, deeds.service("beat", ["sleep", "600"]))
        with loop_disk(stick, tmp_path / "image") as disk:
            rounds = [
                ("skerry", "bundle", "export", "oslo", "--to", str(stick)),
                ("skerry-agent", "import", str(stick)),
                ("skerry-agent", "export", str(stick)),
                ("skerry", "import", str(stick)),
                ("skerry", "bundle", "device", "--name", "mast-7", "--to", str(stick)),
            ]
            for program, *words in rounds:
                disk.lose_power()
                code, said = await _run(it, program, *words)
                if "import" not in words:  # what is read may be in memory still
                    assert code == 1, said
                    assert "is the stick in" in said, said
                disk.mend()
                code, said = await _run(it, program, *words)
                assert code == 0, (program, words, said)
            await deeds.pid_of(it, "oslo", "beat")
            (entry,) = [one for one in await it.nodes() if one["name"] == "oslo"]
            assert entry["observed_generation"] == entry["desired_generation"]


async def test_pulled_out_in_the_middle_it_holds_nothing_that_is_taken_for_whole(tmp_path: Path) -> None:
    stick, folder = tmp_path / "stick", tmp_path / "beat"
    folder.mkdir()
    (folder / "beat.sh").write_text("#!/bin/sh\nexec sleep 600\n")
    (folder / "beat.sh").chmod(0o755)
    (folder / "large").write_bytes(random.Random(1).randbytes(_LARGE_BYTES))  # nothing to compress
    (tmp_path / "beat.yaml").write_text(json.dumps(_SPEC))
    async with deeds.site(tmp_path / "fleet", "oslo", wire=True) as it:
        it.agents["oslo"].wire.cut()
        await it.command("apply", "-f", str(tmp_path / "beat.yaml"))
        with loop_disk(stick, tmp_path / "image") as disk:
            exporting = asyncio.create_task(_run(it, "skerry", "bundle", "export", "oslo", "--to", str(stick)))
            await _pulled_out_when(disk, stick / ".oslo.down.new")
            code, said = await exporting
            assert (code, "is the stick in, and has it room?" in said) == (1, True), said
            disk.mend()
            code, said = await _run(it, "skerry-agent", "import", str(stick))
            assert (code, "there is no bundle" in said) == (1, True), said
            assert (await _run(it, "skerry", "bundle", "export", "oslo", "--to", str(stick)))[0] == 0

            importing = asyncio.create_task(_run(it, "skerry-agent", "import", str(stick)))
            disk.lose_power()
            code, said = await importing
            disk.mend()
            if code:  # read from the disk, or from memory
                assert "the stick was pulled out, or copied half" in said, said
                assert deeds.local(it, "oslo")["services"] == {}
                assert (await _run(it, "skerry-agent", "import", str(stick)))[0] == 0
            await deeds.pid_of(it, "oslo", "beat")


async def _pulled_out_when(disk: LoopDisk, path: Path) -> None:
    async with asyncio.timeout(60):
        while not path.exists() or not any(one.stat().st_size > 1_000_000 for one in path.iterdir()):
            await asyncio.sleep(0.001)  # bounded poll
    disk.lose_power()
