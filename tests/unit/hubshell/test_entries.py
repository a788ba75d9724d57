"""The feed of events, over a real store: filters, places, what is new and what was last."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hub.core import streams
from hub.shell.init import mint_epoch
from hub.shell.store.entries import Entries, Place, parse_place
from hub.shell.store.rows import Filter
from protocol import limits
from protocol.aio.journal import Journal
from protocol.effects import Received, Rows
from protocol.errors import Refused, StoreDamaged

EPOCH = "00112233445566aa"
ANY = Filter()


class Store:
    """A hub's store that children's entries come into, and its own."""

    def __init__(self, journal: Journal, path: Path) -> None:
        self.journal = journal
        self.damaged: list[StoreDamaged] = []
        self.entries = Entries(path, "cloud", self.damaged.append)
        self.seqs: dict[str, int] = {}

    async def child(self, node: str, *events: tuple[str, str, int], stream: str = "state") -> None:
        """`events`: (kind, key, time_ms) each."""
        first = self.seqs.get(f"{node}/{stream}", 0) + 1
        rows = [
            (seq, _raw(seq, time_ms, kind, key, {"n": seq}), b"", time_ms, kind, key)
            for seq, (kind, key, time_ms) in enumerate(events, first)
        ]
        self.seqs[f"{node}/{stream}"] = first + len(rows) - 1
        await self.journal.commit([Received(node, EPOCH, stream, rows)])

    async def own(self, stream: str, kind: str, key: str, time_ms: int) -> None:
        seq = self.seqs[stream] = self.seqs.get(stream, 0) + 1
        epoch = self.epochs[stream]
        await self.journal.commit([Rows(stream, epoch, [(seq, _raw(seq, time_ms, kind, key, {}), b"")])])

    epochs: dict[str, str]

    async def newest(self, chosen: Filter = ANY, limit: int = 100) -> list[dict[str, Any]]:
        lines, _ = await self.entries.newest(chosen, limit)
        return [msgspec.json.decode(line) for line in lines]

    async def after(self, place: Place, chosen: Filter = ANY, limit: int = 100) -> tuple[list[dict[str, Any]], Place]:
        lines, at = await self.entries.after(place, chosen, limit)
        return [msgspec.json.decode(line) for line in lines], at


def _raw(seq: int, time_ms: int, kind: str, key: str, body: object) -> bytes:
    return msgspec.json.encode([seq, time_ms, kind, key, body])


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["kind"] for event in events]


@pytest.fixture
async def store(tmp_path: Path):
    path = tmp_path / "hub.db"
    journal = await Journal.open(path, node="cloud", streams=streams.NAMES, mint=mint_epoch)
    made = Store(journal, path)
    made.epochs = {name: state.epoch for name, state in journal.snapshot().streams.items()}
    yield made
    await journal.close()


async def test_an_event_is_told_with_its_origin_and_its_body(store: Store):
    await store.child("gw-1", ("service.started", "web", 1_800_000_000_123))
    assert await store.newest() == [
        {
            "id": "1.0.0",
            "node": "gw-1",
            "path": "cloud/gw-1",
            "epoch": EPOCH,
            "stream": "state",
            "seq": 1,
            "time": "2027-01-15T08:00:00.123Z",
            "time_ms": 1_800_000_000_123,
            "kind": "service.started",
            "key": "web",
            "body": {"n": 1},
        }
    ]


async def test_an_empty_store_has_nothing_to_tell(store: Store):
    assert await store.newest() == []
    assert await store.after(Place()) == ([], Place())


async def test_the_hubs_own_deeds_stand_among_the_childrens_by_time(store: Store):
    await store.child("gw-1", ("a", "", 10), ("c", "", 30))
    await store.own("audit", "b", "", 20)
    await store.own("state", "d", "", 40)
    assert kinds(await store.newest()) == ["a", "b", "c", "d"]
    events, place = await store.after(Place())
    assert kinds(events) == ["a", "b", "c", "d"]
    assert events[-1]["id"] == str(place) == "2.1.1"
    assert {event["node"] for event in events} == {"gw-1", "cloud"}


async def test_clocks_that_lie_do_not_change_the_order_of_arrival(store: Store):
    await store.child("gw-1", ("first", "", 999), ("second", "", 1))
    await store.child("gw-2", ("third", "", 500))
    assert kinds(await store.newest()) == ["first", "second", "third"]


async def test_pages_meet_without_a_gap_or_a_double(store: Store):
    for number in range(40):
        await store.child(f"gw-{number % 3}", (f"k{number}", "", number * 10))
        if number % 5 == 0:
            await store.own("audit", f"a{number}", "", number * 10 + 1)
    place, seen = Place(), list[str]()
    while True:
        events, place = await store.after(place, limit=7)
        if not events:
            break
        seen += kinds(events)
    assert len(seen) == len(set(seen)) == 48


async def test_each_id_is_a_place_to_go_on_from(store: Store):
    await store.child("gw-1", ("a", "", 1), ("b", "", 2), ("c", "", 3))
    await store.own("audit", "x", "", 2)
    everything = await store.newest()
    for index, event in enumerate(everything):
        rest, _ = await store.after(parse_place(event["id"]))
        assert rest == everything[index + 1 :]


async def test_the_last_ones_are_the_last_ones(store: Store):
    await store.child("gw-1", *((f"k{number}", "", number) for number in range(20)))
    await store.own("audit", "own", "", 18)
    assert kinds(await store.newest(limit=3)) == ["k18", "own", "k19"] or kinds(await store.newest(limit=3)) == [
        "own",
        "k18",
        "k19",
    ]


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        (Filter(node="gw-1"), ["service.started", "service.exited", "vitals"]),
        (Filter(node="cloud"), ["operator.apply"]),
        (Filter(node="nobody"), []),
        (Filter(stream="metrics"), ["vitals"]),
        (Filter(stream="audit"), ["operator.apply"]),
        (Filter(kind="service.started"), ["service.started", "service.started"]),
        (Filter(kind="service."), ["service.started", "service.exited", "service.started"]),
        (Filter(kind="op*"), ["operator.apply"]),
        (Filter(kind="service.%"), []),
        (Filter(key="web"), ["service.started", "service.exited"]),
        (Filter(since_ms=25), ["vitals", "service.started", "operator.apply"]),
        (Filter(node="gw-1", kind="vitals", since_ms=31), []),
    ],
)
async def test_filters_choose(store: Store, chosen: Filter, found: list[str]):
    await store.child("gw-1", ("service.started", "web", 10), ("service.exited", "web", 20))
    await store.child("gw-1", ("vitals", "", 30), stream="metrics")
    await store.child("gw-2", ("service.started", "db", 40))
    await store.own("audit", "operator.apply", "service/web", 50)
    assert kinds(await store.newest(chosen)) == found
    events, place = await store.after(Place(), chosen)
    assert kinds(events) == found
    assert place == Place(4, 1, 0)


async def test_what_is_followed_goes_on_where_it_stopped(store: Store):
    await store.child("gw-1", ("a", "", 1))
    _, place = await store.entries.newest(Filter(kind="b"), 10)
    await store.child("gw-1", ("b", "", 2))
    await store.own("audit", "b", "", 3)
    events, place = await store.after(place, Filter(kind="b"))
    assert len(events) == 2
    assert await store.after(place, Filter(kind="b")) == ([], place)


async def test_a_clock_beyond_all_calendars_is_told_as_it_is(store: Store):
    await store.child("gw-1", ("a", "", 10**17))
    (event,) = await store.newest()
    assert (event["time"], event["time_ms"]) == ("", 10**17)


async def test_a_read_that_takes_too_long_is_given_up(store: Store, monkeypatch: pytest.MonkeyPatch):
    await store.child("gw-1", *((f"k{number}", "", number) for number in range(20_000)))
    monkeypatch.setattr(limits, "READ_WAIT_S", -1.0)
    with pytest.raises(Refused, match="narrow it"):
        await store.newest(Filter(kind="nothing"))


@pytest.mark.parametrize("text", ["x", "1.2", "-1", "1.2.3.4", "9" * 30, "٣"])
def test_a_place_that_is_none_is_refused(text: str):
    with pytest.raises(Refused, match="no place in the feed"):
        parse_place(text)


def test_zero_is_the_beginning():
    assert parse_place("0") == Place()


async def test_damage_that_reading_meets_is_told_to_the_hub_and_to_the_one_who_asked(store: Store, tmp_path: Path):
    await store.child("gw-1", *((f"k{number}", "far" * 20, number) for number in range(400)))
    path = tmp_path / "hub.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw = bytearray(path.read_bytes())
    page = raw.index(b"farfarfar") // 4_096 * 4_096
    raw[page : page + 4_096] = b"\xa5" * 4_096
    path.write_bytes(raw)
    with pytest.raises(StoreDamaged, match="all of it is checked now"):
        await store.entries.after(Place(), ANY, 400)
    assert len(store.damaged) == 1


async def test_a_node_further_below_is_shown_by_its_path_and_found_by_its_address(store: Store) -> None:
    row = (1, _raw(1, 5, "said", "", {}), b"", 5, "said", "")
    await store.child("gw-7", ("said", "", 1))
    other = "aa" * 8
    await store.journal.commit([Received("gw-7", other, "state", [row], at="oslo/gw-7")])
    assert [event["path"] for event in await store.newest()] == ["cloud/gw-7", "cloud/oslo/gw-7"]
    assert [event["epoch"] for event in await store.newest(Filter(node="oslo/gw-7"))] == [other]
    assert len(await store.newest(Filter(node="gw-7"))) == 2, "an id is not unique in a tree"
    await store.own("audit", "applied", "", 9)
    await store.journal.commit([Received("gw-7", other, "state", [(2, *row[1:])], at="bergen/gw-7")])
    assert [event["path"] for event in await store.newest(Filter(node="bergen/gw-7"))] == ["cloud/bergen/gw-7"] * 2
    assert (await store.newest(Filter(node="cloud")))[0]["path"] == "cloud"
