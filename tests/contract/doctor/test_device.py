"""The doctor at a device whose agent does not run: each fault is a real one, and turns its own finding."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sqlite3
import subprocess
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from edge_agent.cli import doctor
from edge_agent.shell.people import rights
from protocol import limits
from protocol.aio.lock import Lock
from protocol.doctor.findings import State, ok
from tests.contract.doctor.paper import DAY_S, Device, print_of, said
from tests.support import broker
from tests.support.pki import Pki

AWAY = {"hub", "way", "agent"}
"""What is not there in these tests, and is said to be a problem."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away and mounts disks")


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path)


def test_a_well_device_without_hub_and_agent_has_only_that_to_say(device: Device) -> None:
    found = doctor.examine(device.data)

    assert {one.check for one in found if one.state is State.PROBLEM} == AWAY
    assert all(one.away for one in found if one.state is State.PROBLEM)
    assert [one.check for one in found if one.state is State.WARNING] == ["link"]
    assert [one.check for one in found if one.state is State.UNKNOWN] == ["isolation", "losses"]
    assert all(bool(one.next) is (one.state in (State.PROBLEM, State.WARNING)) for one in found)


# ------------------------------------------------------------------------------------------------ files and papers


def _other_key(it: Device) -> None:
    other = Device(it.data.parent / "other")
    shutil.copy(other.data / "key.pem", it.data / "key.pem")


def _other_root(it: Device) -> None:
    (it.data.parent / "more").mkdir()
    (it.data / "root.pem").write_bytes(Pki(it.data.parent / "more").root)


def _spoil(path: Path) -> None:
    """Overwrite the second page: a card that wrote elsewhere."""
    with path.open("r+b") as file:
        file.seek(4_096)
        file.write(os.urandom(4_096))


def _sql(path: Path, text: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript(text)


def _vanished(it: Device) -> None:
    place = it.data / "w" / "beat-1"
    place.mkdir(parents=True)
    with subprocess.Popen(["true"], start_new_session=True) as process:
        pass  # its pid is nobody's now
    stat = " ".join([str(process.pid), "(true)", "S", *["1"] * 18, "77", "0", "end"])
    (place / "run").write_text(stat)


def _become(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


def _zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


FAULTS: list[tuple[str, Callable[[Device], object], State, str, str]] = [
    ("key", lambda it: (it.data / "key.pem").chmod(0o644), State.PROBLEM, "read by others (644)", "chmod 600"),
    ("key", lambda it: (it.data / "key.pem").unlink(), State.PROBLEM, "is missing", "backup"),
    ("key", lambda it: (it.data / "key.pem").write_text("no key"), State.PROBLEM, "cannot be read", "backup"),
    ("certificate", _other_key, State.PROBLEM, "are not a pair", "enroll"),
    ("certificate", lambda it: it.certify(issued_s=40 * DAY_S), State.PROBLEM, "expired 10 d ago", "renews itself"),
    ("certificate", lambda it: it.certify(issued_s=29 * DAY_S), State.WARNING, "expires in 23 h", "renews itself"),
    ("certificate", lambda it: it.certify(issued_s=-3 * DAY_S), State.PROBLEM, "holds only from", "set the clock"),
    ("certificate", lambda it: it.certify(node="bergen"), State.PROBLEM, "of node bergen, not of node oslo", "enroll"),
    ("certificate", lambda it: (it.data / "cert.pem").unlink(), State.PROBLEM, "it is missing", "enroll"),
    ("certificate", _other_root, State.PROBLEM, "another hub", "enroll"),
    ("root", _other_root, State.PROBLEM, "not the root that was pinned", "backup"),
    ("root", lambda it: (it.data / "root.pem").write_text(""), State.PROBLEM, "not a certificate chain", "backup"),
    ("folder", lambda it: it.data.chmod(0o777), State.PROBLEM, "changed by others (777)", "chmod 711"),
    ("folder", lambda it: it.data.chmod(0o755), State.WARNING, "more open", "chmod 711"),
    ("enrolled", lambda it: (it.data / "agent.json").unlink(), State.PROBLEM, "not enrolled", "skerry-agent enroll"),
    ("enrolled", lambda it: (it.data / "agent.json").write_text("{"), State.PROBLEM, "is damaged", "sudo"),
    ("journal", lambda it: _spoil(it.data / "journal.db"), State.PROBLEM, "is damaged", "sets the file aside"),
    ("telemetry", lambda it: _spoil(it.data / "telemetry.db"), State.PROBLEM, "is damaged", "sets the file aside"),
    ("journal", lambda it: (it.data / "journal.db").write_bytes(b"x" * 9_000), State.PROBLEM, "not a database", "copy"),
    (
        "journal",
        lambda it: _sql(it.data / "journal.db", "PRAGMA user_version = 99; PRAGMA application_id = 99"),
        State.PROBLEM,
        "newer Skerry (store version 99",
        "install that version",
    ),
    (
        "journal",
        lambda it: _sql(it.data / "journal.db", "UPDATE meta SET value = 'bergen' WHERE key = 'node'"),
        State.PROBLEM,
        "belongs to node bergen",
        "directory of its own",
    ),
    (
        "journal",
        lambda it: _sql(it.data / "journal.db", "INSERT INTO stream VALUES ('no name', 'e', 0, x'', 0, NULL, 0)"),
        State.PROBLEM,
        "names that no stream has",
        "sets the file aside",
    ),
    ("key", lambda it: _become(it.data / "key.pem", os.mkfifo), State.PROBLEM, "no ordinary file", "backup"),
    ("key", lambda it: _become(it.data / "key.pem", _zeros), State.PROBLEM, "no ordinary file", "backup"),
    ("root", lambda it: _become(it.data / "root.pem", _zeros), State.PROBLEM, "no ordinary file", "backup"),
    ("certificate", lambda it: _become(it.data / "cert.pem", _zeros), State.PROBLEM, "no ordinary file", "backup"),
    ("certificate", lambda it: (it.data / "cert.pem").write_bytes(bytes(300_000)), State.PROBLEM, "is over", "enroll"),
    ("journal", lambda it: _become(it.data / "journal.db", os.mkfifo), State.PROBLEM, "no ordinary file", "backup"),
    ("enrolled", lambda it: _become(it.data / "agent.json", os.mkfifo), State.PROBLEM, "no ordinary file", "backup"),
    ("set aside", lambda it: (it.data / "journal.db.damaged-1").touch(), State.WARNING, "journal.db.damaged-1", "look"),
    ("workloads", _vanished, State.WARNING, "beat-1: started", "start it"),
]


@pytest.mark.parametrize(("check", "fault", "state", "says", "advice"), FAULTS)
def test_a_fault_turns_its_own_finding_and_hides_no_other(
    device: Device, check: str, fault: Callable[[Device], object], state: State, says: str, advice: str
) -> None:
    fault(device)
    found = doctor.examine(device.data)

    one = said(found, check)
    assert one.state is state
    assert says in one.says
    assert advice in one.next
    assert len(found) == (3 if check == "enrolled" else 21)


def test_what_the_owner_says_of_people_is_read_as_the_agent_reads_it(
    device: Device, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    toml = tmp_path / "agent.toml"
    monkeypatch.setenv(rights.VARIABLE, str(toml))
    toml.write_text('[people]\nact = "no-such-group"\n')
    assert "only root decides here: there is no group no-such-group" in said(doctor.examine(device.data), "people").says
    assert said(doctor.examine(device.data), "people").state is State.WARNING
    toml.write_text('[people]\nact = "operator"\nread = ""\n')
    assert said(doctor.examine(device.data), "people").says == "the group operator decides here"
    toml.write_text("[people]\nact = 7\n")
    wrong = said(doctor.examine(device.data), "people")
    assert wrong.state is State.PROBLEM
    assert "agent.toml is wrong: Expected `str`, got `int` - at `$.people.act`" in wrong.says
    toml.write_text('[people]\nact = ""\nread = ""\n')
    assert said(doctor.examine(device.data), "people") == ok("people", "only root decides here")


def test_what_the_owner_narrows_counts_though_the_file_is_as_old_and_as_long(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file, other = tmp_path / "agent.toml", tmp_path / "other"
    monkeypatch.setenv(rights.VARIABLE, str(file))
    file.write_text('[people]\nact = "wide"\n')
    owner = rights.Owner()
    assert owner.people()[0].act == "wide"
    other.write_text('[people]\nact = "tiny"\n')
    shutil.copystat(file, other)
    other.rename(file)
    assert owner.people()[0].act == "tiny"


def test_the_example_of_agent_toml_says_what_holds_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(rights.VARIABLE, str(Path(__file__).parents[3] / "config" / "agent.toml"))
    assert rights.Owner().people() == (rights.People(), "")


@needs_root
def test_a_key_that_was_given_to_somebody_else_is_named_with_its_owner(device: Device) -> None:
    os.chown(device.data / "key.pem", 1_234, 1_234)

    one = said(doctor.examine(device.data), "key")
    assert one.state is State.PROBLEM
    assert "belongs to uid 1234, its folder to uid 0" in one.says
    assert one.next.startswith("chown --reference=")


# ------------------------------------------------------------------------------------------------ disks


@contextmanager
def _disk(place: Path, options: str) -> Generator[None]:
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=False, capture_output=True)
    if done.returncode:
        pytest.skip(f"this machine mounts no tmpfs: {done.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", place], check=True)


@needs_root
@pytest.mark.parametrize(
    ("options", "state", "says"),
    [
        ("size=8m", State.PROBLEM, "is full"),
        ("size=90m", State.WARNING, "little room"),
        ("size=900m,nr_inodes=60", State.PROBLEM, "inodes left"),
        ("size=900m,nr_inodes=900", State.WARNING, "inodes left"),
        ("size=900m", State.OK, "free of"),
    ],
)
def test_a_disk_without_room_is_told_by_what_it_lacks(tmp_path: Path, options: str, state: State, says: str) -> None:
    (tmp_path / "disk").mkdir()
    with _disk(tmp_path / "disk", options):
        one = said(doctor.examine(Device(tmp_path / "disk").data), "disk")
    assert one.state is state
    assert says in one.says


@needs_root
def test_a_disk_that_went_read_only_is_told(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    with _disk(tmp_path / "disk", "size=900m"):
        device = Device(tmp_path / "disk")
        subprocess.run(["mount", "-o", "remount,ro", tmp_path / "disk"], check=True)
        found = doctor.examine(device.data)
    assert said(found, "disk").state is State.PROBLEM
    assert "read-only" in said(found, "disk").says
    assert said(found, "journal").state is State.OK


# ------------------------------------------------------------------------------------------------ stores in every state


def _crashed(it: Device) -> None:
    """Leave the journal as a power cut does: a WAL with rows in it, and shared memory that nobody holds."""

    async def live() -> None:
        journal = await it.open()
        for path in it.data.glob("*.db*"):
            shutil.copy2(path, it.data.parent / path.name)
        await journal.close()

    asyncio.run(live())
    for path in it.data.parent.glob("*.db*"):
        shutil.copy2(path, it.data / path.name)
    (it.data / "journal.db.lock").write_text("1 1\n")


def _crashed_without_memory(it: Device) -> None:
    _crashed(it)
    (it.data / "journal.db-shm").unlink()


def _closed(it: Device) -> None:
    """Leave the stores as they are: closed in order."""


@pytest.mark.parametrize("state", [_closed, _crashed, _crashed_without_memory], ids=["closed", "crashed", "wal"])
def test_a_look_changes_nothing_whatever_state_the_stores_are_in(
    device: Device, state: Callable[[Device], None]
) -> None:
    state(device)
    before = print_of(device.data)

    found = doctor.examine(device.data)

    assert print_of(device.data) == before
    assert said(found, "journal").state is State.OK


def test_a_crash_that_damaged_the_journal_is_seen_through_its_wal(device: Device) -> None:
    _crashed(device)
    with (device.data / "journal.db-wal").open("r+b") as file:
        whole = file.read()
        for at in range(32, len(whole), 4_120):  # each frame's page; the checksum then ends the WAL before it
            file.seek(at + 24)
            file.write(bytes(64))
    _spoil(device.data / "journal.db")

    assert said(doctor.examine(device.data), "journal").state is State.PROBLEM


def test_a_damaged_journal_that_was_recovered_is_well_and_what_was_set_aside_is_named(device: Device) -> None:
    _spoil(device.data / "journal.db")
    assert said(doctor.examine(device.data), "journal").state is State.PROBLEM

    async def next_life() -> None:
        await (await device.open()).close()

    asyncio.run(next_life())

    found = doctor.examine(device.data)
    assert said(found, "journal").state is State.OK
    assert said(found, "set aside").state is State.WARNING
    assert "journal.db.damaged-20" in said(found, "set aside").says


def test_who_has_the_journal_open_and_does_not_answer_is_named(device: Device) -> None:
    lock = Lock.take(device.data / "journal.db")
    try:
        one = said(doctor.examine(device.data), "agent")
    finally:
        lock.release()
    assert one.state is State.PROBLEM
    assert f"process {os.getpid()} has the journal open" in one.says
    assert not one.away


def test_what_hangs_is_said_to_hang_and_hides_no_other(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DOCTOR_WAIT_S", 1.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        device.points_to(broker.free_port(), silent.getsockname()[1])
        found = doctor.examine(device.data)

    assert said(found, "hub").state is State.PROBLEM
    assert "did not answer within 1.5 s" in said(found, "hub").says
    assert said(found, "journal").state is State.OK
    assert len(found) == 21


# ------------------------------------------------------------------------------------------------ brokers


@pytest.mark.mosquitto
async def test_a_broker_is_tried_with_the_devices_own_certificate(tmp_path: Path) -> None:
    device = await asyncio.to_thread(Device, tmp_path)
    async with broker.running(device.pki, tmp_path / "broker") as it:
        device.points_to(it.port, broker.free_port(), broker=broker.NAME)
        well = said(await asyncio.to_thread(doctor.examine, device.data), "broker")
        device.points_to(it.port, broker.free_port(), broker="somebody")
        stranger = said(await asyncio.to_thread(doctor.examine, device.data), "broker")
        device.points_to(it.back_door, broker.free_port(), broker=broker.NAME)
        plain = said(await asyncio.to_thread(doctor.examine, device.data), "broker")
    device.points_to(it.port, broker.free_port(), broker=broker.NAME)
    away = said(await asyncio.to_thread(doctor.examine, device.data), "broker")

    assert (well.state, "(MQTT, " in well.says) == (State.OK, True)
    assert (stranger.state, "is not somebody under our root" in stranger.says) == (State.PROBLEM, True)
    assert plain.state is State.PROBLEM
    assert (away.state, away.away) == (State.PROBLEM, True)
    assert "cannot be reached: Connection refused" in away.says
