"""A region with true papers that lies to a real root, over real TLS: bounded, named, and its sibling stays true."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from hub.shell.authority import Authority
from hub.shell.home import Home
from protocol import limits, messages
from protocol.aio import sqlite, tls
from protocol.effects import Effects, Now
from protocol.link.child import Child
from protocol.link.relay import runs
from protocol.link.relay.wrap import Item, item, run_item
from protocol.link.relay.wrap import pieces as pieces_of
from protocol.link.roster.brief import Brief, encode
from protocol.trust.signing import Anchor
from tests.contract.api.conftest import Served
from tests.contract.api.test_regions import below
from tests.support.crowd_member import Member
from tests.support.enrolled import Papers
from tests.support.memory_store import MemoryStore, OwnRows
from tests.unit.relay.parts import Origin

WAIT_S = 60.0
STREAM = "relay_state"


class Region(Member):
    """A link with the papers of a region, over which anything can be said."""

    def __init__(self, home: Home, name: str, port: int) -> None:
        keys = Authority(home, name)
        root = home.path("root.pem").read_bytes()
        chain, key = keys.tls_chain_path, keys.tls_key_path
        scope = keys.parent_scope
        context = tls.child_context(chain=chain, key=key, root=home.path("root.pem"), name=scope)
        super().__init__(Papers("cloud", name, context), port, root)
        self.disk = MemoryStore(name, streams={STREAM: OwnRows(os.urandom(8).hex())})
        self.child = Child(self.disk.snapshot(), node=name, parent="cloud", trust=_Trust(root, scope))
        self._pages = 0

    def relay(self, *items: Item) -> None:
        """Append rows to its stream, in the order of the link, with a chain that holds."""
        fx = Effects()
        self.child.append(STREAM, items, Now(time.monotonic(), time.time()), fx)
        self._perform(fx)

    def roster(self, briefs: dict[str, bytes], *, last: bool = False) -> None:
        """Say the next page of a whole roster."""
        self._pages += 1
        put = {address: msgspec.Raw(raw) for address, raw in briefs.items()}
        page = messages.Roster(session=self.child.session, number=self._pages, put=put, whole=True, last=last)
        assert self._socket is not None
        self._socket.send(page)


class _Trust(Anchor):
    def sign_gap(self, node: str, epoch: str, stream: str, body: messages.GapBody) -> messages.GapBody:
        raise AssertionError(f"{node} lost rows of {stream}")


@contextmanager
def live(*regions: Region) -> Generator[None]:
    for one in regions:
        one.start()
    try:
        yield
    finally:
        for one in regions:
            one.close()


async def until(done: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + WAIT_S
    while not done():
        assert time.monotonic() < end, f"after {WAIT_S:.0f} s: not {what}"
        await asyncio.sleep(0.01)  # bounded poll


def wrapped(gw: Origin, prev: int, last: int) -> Iterator[Item]:
    for piece in pieces_of(gw.event(prev, last)):
        yield run_item(gw.node, gw.epoch, gw.stream, piece)


def lies_about(gw: Origin) -> Iterator[Item]:
    """Yield what one who knows the epoch of a sibling's device may say of it, but not what it says next."""
    forged = Origin(node=gw.node, epoch=gw.epoch).say(30, "forged")
    yield from wrapped(forged, 0, 30)
    yield from wrapped(forged, len(gw.rows), 30)
    end = runs.Turn(at=gw.node, epoch="f" * 16, stream="state", seq=1, hash="ab" * 32, former=gw.epoch, ends=4_000)
    yield item(runs.EPOCH, msgspec.structs.replace(end, ends_hash="cd" * 32))
    gap = messages.GapBody(first=11, last=4_000, count=3_990, reason="policy", hash="cd" * 32)
    yield item(runs.HELD, runs.Held(at=gw.node, epoch=gw.epoch, stream="state", before="ab" * 32, by="evil", gap=gap))
    yield runs.RUN, gw.node, b'{"at":"a/b/c/d/e/f","rows":' + b"[" * 60 + b"]" * 60 + b"}"
    yield "what", "", b"9007199254740993"


async def test_a_region_that_lies_is_bounded_and_named_and_its_sibling_stays_true(
    hub: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MISSING_OF_CHILD_MAX", 50)
    monkeypatch.setattr(limits, "ORIGINS_OF_CHILD_MAX", 100)
    monkeypatch.setattr(limits, "ROSTER_KEPT_BYTES_MAX", 2_000)
    names = ("oslo", "evil")
    oslo, evil = [Region(await below(hub, tmp_path / name, name), name, hub.mqtt_port) for name in names]
    with live(oslo, evil):
        await until(lambda: oslo.child.live and evil.child.live, "both are live")
        devices = [Origin(node=f"gw-{number}", epoch=f"{number:016x}").say(10) for number in range(5)]
        oslo.roster({gw.node: encode(Brief(state="online", key="ab" * 32)) for gw in devices}, last=True)
        oslo.relay(*(one for gw in devices for one in wrapped(gw, 0, 10)))
        await until(lambda: oslo.child.synced(STREAM), "what is true is taken")

        evil.relay(*(one for gw in devices for one in lies_about(gw)))
        for number in range(150):
            evil.relay(*wrapped(Origin(node=f"x-{number}", epoch=os.urandom(8).hex()).say(9), 8, 9))
        evil.roster({f"x-{number}": encode(Brief(alarm="x" * 200)) for number in range(50)}, last=True)
        await until(lambda: evil.child.synced(STREAM), "the lies are heard")
        for gw in devices:
            oslo.relay(*wrapped(gw.say(5), 10, 15))
        await until(lambda: oslo.child.synced(STREAM), "what is true is taken after them")

        found = {one["name"]: one for one in (await hub.api.get("/v1/nodes")).json()}
    alarms = {one["what"]: one["text"] for one in found["evil"]["alarms"]}
    assert {"fork", "misbehaved", "crowded", "poison"} <= set(alarms)
    assert "evil relays state that contradicts what is held here of oslo/gw-" in alarms["fork"]
    assert "revoke it" in alarms["fork"]
    assert not found["oslo"]["alarms"]
    db = sqlite.read_only(hub.home.database)
    query = "SELECT seq, raw FROM entry JOIN channel ON channel.id = channel WHERE node = ? AND epoch = ? ORDER BY seq"
    for gw in devices:
        assert db.execute(query, (gw.node, gw.epoch)).fetchall() == [(seq, raw) for seq, raw, _ in gw.rows]
        assert found[gw.node]["path"] == f"cloud/oslo/{gw.node}"
    db.close()
