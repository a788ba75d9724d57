"""A stick goes between a device and its hub: real processes, real stores, and no network in between."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

from hub.demo import fleet as demo
from tests.support import deeds
from tests.support.fleet import Fleet

_WAIT_S = 120


async def _run(it: Fleet, program: str, *words: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(
        subprocess.run,
        [str(demo.BIN / program), *words],
        env=it.env,
        capture_output=True,
        text=True,
        check=False,
        timeout=_WAIT_S,
    )


async def _hub(it: Fleet, *words: str) -> str:
    done = await _run(it, "skerry", *words)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


async def _device(it: Fleet, *words: str) -> str:
    done = await _run(it, "skerry-agent", *words, "--data", str(it.agents["oslo"].data))
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


async def _refused(it: Fleet, program: str, *words: str) -> str:
    data = ("--data", str(it.agents["oslo"].data)) if program == "skerry-agent" else ()
    done = await _run(it, program, *words, *data)
    assert done.returncode == 1, done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    return " ".join(done.stderr.split())


async def _entries(it: Fleet) -> list[dict[str, Any]]:
    said = await _hub(it, "events", "--node", "oslo", "--since", "1d", "-o", "json")
    return [json.loads(line) for line in said.splitlines()]


def _place(one: dict[str, Any]) -> tuple[str, str, int]:
    return one["epoch"], one["stream"], one["seq"]


async def test_a_device_that_is_cut_off_is_managed_by_a_stick(tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    async with deeds.site(tmp_path / "fleet", "oslo", wire=True) as it:
        it.agents["oslo"].wire.cut()
        await it.until(lambda: _is_away(it), "oslo is away")
        await deeds.declare(it, deeds.service("beat", ["sleep", "600"]))

        await _hub(it, "bundle", "export", "oslo", "--to", str(stick))
        assert "generation" in await _device(it, "import", str(stick))
        pid = await deeds.pid_of(it, "oslo", "beat")
        assert "it was here already" in await _device(it, "import", str(stick))
        assert await deeds.pid_of(it, "oslo", "beat") == pid

        assert "oslo.up" in await _device(it, "export", str(stick))
        said = await _hub(it, "import", str(stick))
        assert "state up to" in said
        there = await _entries(it)
        here = [json.loads(one) for one in (await _device(it, "events", "-n", "1000", "-o", "json")).splitlines()]
        exported = next(one for one in reversed(here) if one["kind"] == "bundle.exported")
        wished = {
            _place(one) for one in here if one["stream"] in ("audit", "state") and one["time"] <= exported["time"]
        }
        assert wished <= {_place(one) for one in there}
        assert len(there) == len({_place(one) for one in there})
        node = await it.node("oslo")
        assert node["state"] == "away"
        assert node["observed_generation"] == node["desired_generation"]

        await _hub(it, "import", str(stick))
        assert [_place(one) for one in await _entries(it)] == [_place(one) for one in there]

        it.agents["oslo"].wire.heal()
        await it.until(lambda: it.online("oslo"), "oslo is online")
        await it.until(lambda: _is_level(it), "all is synced")
        again = await _entries(it)
        assert len(again) == len({_place(one) for one in again})
        assert await deeds.pid_of(it, "oslo", "beat") == pid


async def _is_away(it: Fleet) -> bool:
    return not await it.online("oslo")


async def _is_level(it: Fleet) -> bool:
    backlog = deeds.local(it, "oslo")["backlog"]
    return all(backlog[stream]["rows"] == 0 for stream in ("audit", "state"))


async def test_what_is_half_altered_or_of_others_is_refused_and_told_and_a_service_comes_with_its_files(
    tmp_path: Path,
) -> None:
    stick, folder = tmp_path / "stick", tmp_path / "beat"
    folder.mkdir()
    (folder / "beat.sh").write_text("#!/bin/sh\nexec sleep 600\n")
    (folder / "beat.sh").chmod(0o755)
    spec = tmp_path / "beat.yaml"
    spec.write_text(
        "apiVersion: skerry/v1\nkind: Service\nmetadata: {name: beat}\nspec:\n  artifact: ./beat\n"
        "  process: {command: [./beat.sh]}\n  placement: {selector: '*', count: all}\n"
    )
    async with deeds.site(tmp_path / "fleet", "oslo", "bergen", wire=True) as it:
        it.agents["oslo"].wire.cut()
        await it.until(lambda: _is_away(it), "oslo is away")
        await _hub(it, "apply", "-f", str(spec))
        await _hub(it, "bundle", "export", "oslo", "--to", str(stick))
        await _hub(it, "bundle", "export", "bergen", "--to", str(tmp_path / "other"))
        assert "for bergen; this device is oslo" in await _refused(
            it, "skerry-agent", "import", str(tmp_path / "other")
        )

        down = stick / "oslo.down"
        parts = {path.name: path.read_bytes() for path in down.iterdir()}
        large = max((name for name in parts if name != "bundle.json"), key=lambda name: len(parts[name]))
        for broken in (parts[large][:-1], None):
            (down / large).unlink() if broken is None else (down / large).write_bytes(broken)
            assert "is not whole: 1 of its" in await _refused(it, "skerry-agent", "import", str(stick))
        (down / large).write_bytes(bytes(len(parts[large])))
        assert "was altered or damaged" in await _refused(it, "skerry-agent", "import", str(stick))
        (down / large).write_bytes(parts[large])
        (down / "bundle.json").write_bytes(parts["bundle.json"].replace(b'"time_ms":', b'"time_ms":1', 1))
        assert "altered or signed by another" in await _refused(it, "skerry-agent", "import", str(stick))
        (down / "bundle.json").unlink()
        assert "no readable bundle.json" in await _refused(it, "skerry-agent", "import", str(stick))
        (down / "bundle.json").write_bytes(parts["bundle.json"])
        assert not (await it.node("oslo"))["services"]
        assert await _device(it, "services", "-o", "json") == "[]\n"

        await _device(it, "import", str(stick))
        pid = await deeds.pid_of(it, "oslo", "beat")
        kinds = [json.loads(one)["kind"] for one in (await _device(it, "events", "-o", "json")).splitlines()]
        assert kinds.count("bundle.refused") == 5

        await _device(it, "export", str(stick))
        up = stick / "oslo.up"
        head = (up / "bundle.json").read_bytes()
        (up / "bundle.json").write_bytes(head.replace(b'"version":"', b'"version":"9', 1))
        assert "its signature is wrong" in await _refused(it, "skerry", "import", str(stick))
        assert [one["what"] for one in (await it.node("oslo"))["alarms"]] == ["bundle-refused"]
        (up / "bundle.json").write_bytes(head)
        next(one for one in up.iterdir() if one.name != "bundle.json").unlink()
        assert "is not whole" in await _refused(it, "skerry", "import", str(stick))
        assert not (await it.node("oslo"))["services"]
        await _device(it, "export", str(stick))
        assert "state up to" in await _hub(it, "import", str(stick))
        assert (await it.node("oslo"))["services"]["beat"]["state"] == "running"
        assert await deeds.pid_of(it, "oslo", "beat") == pid
        trail = await _hub(it, "events", "--node", "cloud", "--since", "1d", "-o", "json")
        assert "bundle.refused" in [json.loads(line)["kind"] for line in trail.splitlines()]
