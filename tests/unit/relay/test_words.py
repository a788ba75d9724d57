"""The rows of `relay` as bytes: pinned, read back, and refused when they make no sense."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization

from protocol.link.relay import records, runs, salvaged, unwrap
from protocol.link.relay.record import key_hash
from protocol.trust import gaps
from tests.golden import relayed
from tests.unit.relay.parts import Origin

KINDS = {"run.json": runs.RUN, "held.json": runs.HELD, "epoch.json": runs.EPOCH}


@pytest.mark.parametrize("name", KINDS)
def test_the_bytes_of_every_row_are_pinned(name: str) -> None:
    assert relayed.samples()[name] == (relayed.HERE / name).read_bytes()


@pytest.mark.parametrize("name", KINDS)
def test_every_row_is_read_as_it_was_meant(name: str) -> None:
    said = unwrap.decode(KINDS[name], relayed.samples()[name])
    assert said is not None
    assert (said.at, said.node, said.stream) == ("dock/gw-1", "gw-1", "state")
    if isinstance(said, runs.Run):
        rows = unwrap.rows_of(said)
        assert rows is not None
        assert bytes(rows[1]) == b"no entry"
    if isinstance(said, runs.Held):
        gaps.check(said.by, key_hash(said.gap.key), said.epoch, said.signed_as, said.gap)


def _row(kind: str, body: dict[str, Any]) -> bytes:
    return msgspec.json.encode([1, 0, kind, "gw-7", body])


def _of(about: runs.About, **words: object) -> dict[str, Any]:
    return {**msgspec.to_builtins(about), **words}


RUN = Origin().say(3).runs(0, 3)[0]


@pytest.mark.parametrize(
    "words",
    [
        {"at": ""},
        {"at": "../x"},
        {"at": "a/b/c/d/e"},
        {"at": "x" * 400},
        {"epoch": "E"},
        {"stream": "relay_state"},
        {"stream": "other"},
        {"stream": "metrics"},
        {"before": ""},
        {"before": "zz"},
        {"hash": ""},
        {"prev": 3},
        {"prev": -1},
        {"last": 2**53},
        {"rows": []},
        {"rows": [1] * 2_001},
        {"odd": [-1]},
        {"odd": "x"},
    ],
    ids=str,
)
def test_a_run_that_makes_no_sense_says_nothing(words: dict[str, object]) -> None:
    whole = {key: value for key, value in _of(msgspec.structs.replace(RUN, rows=[])).items() if key != "rows"}
    body = {**whole, "rows": [[1, 0, "k", "", 1]], **words}
    assert unwrap.decode(runs.RUN, _row(runs.RUN, {**whole, "rows": [[1, 0, "k", "", 1]]})) is not None
    assert unwrap.decode(runs.RUN, _row(runs.RUN, body)) is None


@pytest.mark.parametrize(
    "gap", [{"first": 0}, {"first": 3}, {"count": 3}, {"hash": ""}, {"reason": "x" * 300}, {"last": 2**53}], ids=str
)
def test_a_held_that_makes_no_sense_says_nothing(gap: dict[str, object]) -> None:
    body = {"first": 1, "last": 2, "count": 2, "reason": "r", "hash": RUN.hash}
    held = {"at": "gw-7", "epoch": RUN.epoch, "stream": "state", "before": RUN.before, "by": "oslo"}
    assert unwrap.decode(runs.HELD, _row(runs.HELD, {**held, "gap": body})) is not None
    assert unwrap.decode(runs.HELD, _row(runs.HELD, {**held, "gap": {**body, **gap}})) is None


@pytest.mark.parametrize("words", [{"hash": "", "seq": 1}, {"former": "x"}, {"ends_hash": "x"}, {"seq": "1"}], ids=str)
def test_an_epoch_that_makes_no_sense_says_nothing(words: dict[str, object]) -> None:
    whole = {"at": "gw-7", "epoch": RUN.epoch, "stream": "state", "seq": 3, "hash": RUN.hash}
    whole |= {"former": "b" * 16, "ends": 4, "ends_hash": RUN.hash}
    assert unwrap.decode(runs.EPOCH, _row(runs.EPOCH, whole)) is not None
    assert unwrap.decode(runs.EPOCH, _row(runs.EPOCH, whole | {"ends": 0, "ends_hash": ""})) is not None
    assert unwrap.decode(runs.EPOCH, _row(runs.EPOCH, whole | words)) is None


def test_a_kind_that_nobody_knows_and_bytes_that_nobody_can_read_say_nothing() -> None:
    assert unwrap.decode("relay.other", _row("relay.other", {})) is None
    assert unwrap.decode(runs.RUN, b"[" * 3_000 + b"]" * 3_000) is None


def test_a_key_is_named_by_its_hash() -> None:
    signer = gaps.GapSigner(relayed.HUB)
    key = serialization.load_pem_private_key(relayed.HUB, None).public_key()
    spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert key_hash(signer.key) == hashlib.sha256(spki).hexdigest()
    assert key_hash("no base64") == "no key"


def test_a_recovery_finds_what_is_gone_of_an_origin() -> None:
    gw = Origin().say(6)
    record = records.Record(at="oslo/gw-7", seq=6, hash=gw.tip.hex(), since=1)
    one = salvaged.Origin(gw.node, gw.epoch, gw.stream, record)
    assert one.moved({}) is None, "nothing stands: retention let it go"
    assert [one.take(*gw.rows[index]) for index in (0, 3, 4, 5)] == [True] * 4
    assert not one.take(2, b'[2,0,"k","",0]', gw.hash(2)), "it does not come to its hash"
    aside = {(gw.node, gw.epoch, gw.stream, 2): gw.rows[1][1]}
    back = one.moved(aside)
    assert back is not None
    assert (back.seq, back.hash) == (2, gw.hash(2).hex())
    assert one.take(*gw.gap(3, 3))
    assert one.moved(aside) is None
