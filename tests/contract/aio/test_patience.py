"""A store on a disk that is full or fails: told apart from what waiting does not mend, and waited for."""

import errno
import logging
import os
from pathlib import Path

import pytest

from protocol import limits
from protocol.aio.sqlite import explain
from protocol.aio.upkeep.patience import until_it_can
from protocol.errors import StoreError, StoreLocked, StoreStuck

log = logging.getLogger("test")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STORE_RETRY_S_MIN", 0.0)


async def test_it_waits_for_the_disk_and_says_each_reason_once(caplog: pytest.LogCaptureFixture) -> None:
    reasons = [StoreStuck("full"), StoreStuck("full"), StoreStuck("it failed")]

    async def begin() -> str:
        if reasons:
            raise reasons.pop(0)
        return "open"

    assert await until_it_can(begin, log) == "open"
    assert [one.getMessage() for one in caplog.records] == [
        "full; waiting for it, workloads run on",
        "it failed; waiting for it, workloads run on",
    ]


async def test_what_waiting_does_not_mend_is_raised() -> None:
    async def begin() -> None:
        raise StoreLocked("in use")

    with pytest.raises(StoreLocked):
        await until_it_can(begin, log)


@pytest.mark.parametrize(
    ("number", "kind", "text"),
    [
        (errno.ENOSPC, StoreStuck, "the disk is full, free some space"),
        (errno.EDQUOT, StoreStuck, "the disk is full, free some space"),
        (errno.EIO, StoreStuck, "the disk failed, look at the kernel's log"),
        (errno.EACCES, StoreError, "check the folder and its owner"),
    ],
)
def test_an_error_of_the_system_is_told_as_sqlite_tells_it(number: int, kind: type[StoreError], text: str) -> None:
    error = explain(OSError(number, os.strerror(number)), Path("journal.db"))
    assert type(error) is kind
    assert text in str(error)
