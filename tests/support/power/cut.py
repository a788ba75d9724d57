"""Cuts the power of a journal at many points: story, crash, verdict, and a life that goes on from what was left."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.power.crash import Wreck
from tests.support.power.disk import Disk
from tests.support.power.held import Held
from tests.support.power.plot import Plot
from tests.support.power.story import Story
from tests.support.power.verdict import FILES, Broken, judge, lay

_MEMORY = Path("/dev/shm")  # what the crash left is opened with SQLite's own syncs: not on a card
_ELSEWHERE = bytes(4_096)  # while the log has the files, their names only show that there is something
EMPTY = (Held(), Held())


@dataclass(slots=True)
class Report:
    """How many points; what was broken, by kind, the first of each in words; how many store failures on the way."""

    points: int = 0
    broken: Counter[str] = field(default_factory=Counter[str])
    first: dict[str, str] = field(default_factory=dict[str, str])
    failures: int = 0
    events: int = 0


async def cut(*, seed: int, points: int, lives: int, commits: int, failing: int = 4) -> Report:
    """Cut the power at `points` points, spread over `lives` lives of `commits` commits, each begun where one crashed.

    Of 1,000 syncs `failing` fail, and a few writes find no room. A given seed gives the same points.
    """
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as room:
        folder = Path(room, "store")
        folder.mkdir()
        return await _cut(folder, seed, points, lives, commits, failing)


async def _cut(folder: Path, seed: int, points: int, lives: int, commits: int, failing: int) -> Report:
    dice = random.Random(seed)
    report = Report()
    image: dict[str, bytes] = {}
    begun_with = EMPTY
    plot = Plot(random.Random(seed + 1))
    epochs: set[str] = set()
    for life in range(lives):
        disk = Disk(random.Random(seed + 2 + life), failing=failing, full=failing // 4)
        disk.hold(image)
        story = Story(folder, disk, plot, random.Random(seed + 1_000 + life), boot=f"boot-{life}", epochs=epochs)
        lay(folder, dict.fromkeys(FILES, _ELSEWHERE))
        await story.tell(commits, begun_with=begun_with)
        report.failures += story.failures
        report.events += len(disk.log)
        image, begun_with = await _crash(story, points // lives, dice, report, f"seed {seed}, life {life}")
    return report


async def _crash(
    story: Story, points: int, dice: random.Random, report: Report, where: str
) -> tuple[dict[str, bytes], tuple[Held, Held]]:
    """Crash at `points` points of the story; return one of the last that went well, for the next life."""
    log, first = story.disk.log, story.kept.moments[0].begun
    wreck, done = Wreck(), 0
    rest: dict[str, bytes] = {}
    found = EMPTY
    for at in sorted(dice.randint(first, len(log)) for _ in range(points)):
        while done < at:
            wreck.pass_by(log[done])
            done += 1
        image = wreck.image(dice)
        report.points += 1
        try:
            found = await judge(story, at, image)
            rest = image
        except Broken as error:
            report.broken[error.kind] += 1
            report.first.setdefault(error.kind, f"{where}, event {at} of {len(log)}: {error}")
    return {name: data for name, data in rest.items() if name in FILES or data}, found
