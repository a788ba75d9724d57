"""A quota that an installer names: read as a size, refused when it is none or too small, kept in agent.json."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edge_agent.shell import enroll, identity
from protocol import limits
from protocol.errors import Refused


@pytest.mark.parametrize(("quota", "why"), [("much", "is no size"), ("1M", "need 32Mi at least; write 32Mi or more")])
def test_a_quota_that_cannot_be_is_refused_before_anything_is_done(tmp_path: Path, quota: str, why: str) -> None:
    request = enroll.Request(hub="https://h.example", token="sk1.none", quota=quota)
    with pytest.raises(Refused, match=why):
        enroll.enroll(tmp_path / "data", request)
    assert not (tmp_path / "data").exists()


def test_a_device_without_one_has_the_default(tmp_path: Path) -> None:
    address = {"host": "h", "port": 1}
    names = {"node": "n", "hub": "h", "parent": "h", "scope": "h.skerry", "root_pin": "p"}
    file = names | {"mqtt": address | {"name": "h"}, "api": address}
    (tmp_path / "agent.json").write_bytes(msgspec.json.encode(file))
    assert identity.load(tmp_path).quota_bytes == limits.DEVICE_QUOTA_BYTES
    identity.save(tmp_path, msgspec.structs.replace(identity.load(tmp_path), quota_bytes=64_000_000))
    assert identity.load(tmp_path).quota_bytes == 64_000_000
