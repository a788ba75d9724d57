"""Artifacts on the hub's disk: whole and under their own digest, or not at all."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.shell.artifacts import Artifacts
from hub.shell.desk import Failed
from protocol import limits
from protocol.errors import BadId, TooLarge


def named(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


async def stream(*chunks: bytes, breaks: bool = False) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
    if breaks:
        raise Failed("the upload broke off", 400)


async def test_what_arrives_whole_is_kept_under_its_digest(tmp_path: Path):
    artifacts = Artifacts(tmp_path)
    data = bytes(range(256)) * 9_000
    assert artifacts.size(named(data)) is None
    assert await artifacts.receive(named(data), stream(data[:5], data[5:2_000_000], data[2_000_000:])) == len(data)
    assert artifacts.size(named(data)) == len(data)
    assert artifacts.path(named(data)).read_bytes() == data


async def test_bytes_under_a_wrong_name_are_not_kept(tmp_path: Path):
    with pytest.raises(Failed, match="did the folder change under way") as raised:
        await Artifacts(tmp_path).receive(named(b"a"), stream(b"b"))
    assert raised.value.status == 422
    assert not list(tmp_path.iterdir())


async def test_an_upload_that_breaks_off_leaves_nothing(tmp_path: Path):
    with pytest.raises(Failed, match="broke off"):
        await Artifacts(tmp_path).receive(named(b"ab"), stream(b"a", breaks=True))
    assert not list(tmp_path.iterdir())


async def test_an_upload_that_grows_too_large_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "ARTIFACT_BYTES_MAX", 3)
    with pytest.raises(TooLarge):
        await Artifacts(tmp_path).receive(named(b"abcd"), stream(b"ab", b"cd"))
    assert not list(tmp_path.iterdir())


async def test_only_so_many_uploads_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "UPLOADS_MAX", 0)
    with pytest.raises(Failed, match="try again"):
        await Artifacts(tmp_path).receive(named(b"a"), stream(b"a"))


async def test_a_restart_clears_what_interrupted_uploads_left(tmp_path: Path):
    (tmp_path / ".part-1234").write_bytes(b"half")
    Artifacts(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("digest", ["", "../x", "sha256:..", "sha256:" + "A" * 64])
def test_a_name_from_outside_never_becomes_a_path(tmp_path: Path, digest: str):
    with pytest.raises(BadId):
        Artifacts(tmp_path).path(digest)


async def test_what_does_not_fit_beside_the_others_is_refused_and_nothing_of_it_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limits, "ARTIFACTS_BYTES_MAX", 10)
    artifacts = Artifacts(tmp_path)
    await artifacts.receive(named(b"abcdef"), stream(b"abcdef"))
    assert (artifacts.lacks(4), artifacts.lacks(5)) == (False, True)
    with pytest.raises(Failed, match=r"no room at the hub .* nothing was stored") as raised:
        await artifacts.receive(named(b"ghijkl"), stream(b"ghi", b"jkl"))
    assert raised.value.status == 507
    assert artifacts.here() == {named(b"abcdef"): 6}
    assert len(list(tmp_path.iterdir())) == 1
    assert Artifacts(tmp_path).lacks(5), "another life counts the same"
    artifacts.drop(named(b"abcdef"))
    artifacts.drop(named(b"abcdef"))
    assert await artifacts.receive(named(b"ghijkl"), stream(b"ghi", b"jkl")) == 6
    assert artifacts.here() == {named(b"ghijkl"): 6}


async def test_two_uploads_of_the_same_at_a_time_take_the_room_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "ARTIFACTS_BYTES_MAX", 10)
    artifacts = Artifacts(tmp_path)
    both = [artifacts.receive(named(b"abcde"), stream(b"abcde")) for _ in range(2)]
    assert await asyncio.gather(*both) == [5, 5]
    assert (artifacts.lacks(5), artifacts.lacks(6)) == (False, True)
    artifacts.drop(named(b"abcde"))
    assert not artifacts.lacks(10)
