"""Enrollment: a key made here, a one-time token that pins the hub's CA, a certificate. Half done leaves nothing.

    the hub is met and asked (protocol.aio.joining): the token and the CSR go to nobody that the pin does not prove
    root.pem, cert.pem, then agent.json, each whole; agent.json is what makes it count

A device that is enrolled enrolls again only when its hub does not know it any more (restored from a backup that is
older), or when it is told to: with the key and the name it had, so that its journal goes on (C5).

Not imported by the daemon (httpx).
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from edge_agent.shell import identity
from edge_agent.shell.papers import apart, own
from edge_agent.shell.vitals import platform
from protocol import ids, limits
from protocol.aio.joining import meeting, words
from protocol.aio.joining.words import Unreachable
from protocol.aio.upkeep import synced
from protocol.errors import Refused, SkerryError
from protocol.spec.quantities import format_size, parse_size
from protocol.trust import signing


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the installer asks. `mqtt` (HOST:PORT) goes before the address that the hub gives: a tunnel, a NAT.

    `quota` is a size (`64M`): what the journal and the telemetry may take on disk.
    """

    hub: str
    token: str
    name: str = ""
    mqtt: str = ""
    quota: str = ""
    labels: dict[str, str] = field(default_factory=dict[str, str])
    again: bool = False


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of it. `new` False: this device was enrolled already, and its hub knows it, as far as it could be asked
    (`unasked`: why not); `again`: it was enrolled before, and is so anew; `quota_changed`: good from the next start."""

    file: identity.AgentFile
    new: bool
    again: bool = False
    quota_changed: bool = False
    unasked: str = ""


def enroll(data: Path, request: Request) -> Result:
    """Enroll this device. Raises Refused, TrustError, Unreachable, BadId; then nothing of it stays."""
    if (data / "agent.json").exists():
        return _enrolled(data, request)
    if request.name:
        ids.node_id(request.name)
    if request.mqtt:
        _place(request.mqtt)
    _quota(request.quota)
    had_key = (data / "key.pem").exists()
    made = False
    try:
        met = meeting.meet(words.base(request.hub), request.token)
        made = identity.make_directory(data)
        answer = _ask(met, request, data)
        return Result(file=_keep(data, answer, met.base, request), new=True)
    except Unreachable:
        raise  # it may have been enrolled there: the same key must ask again
    except SkerryError:
        if not had_key:
            (data / "key.pem").unlink(missing_ok=True)
        if made:
            with contextlib.suppress(OSError):
                data.rmdir()
        raise


# ------------------------------------------------------------------------------------------------ enrolled already


def _enrolled(data: Path, request: Request) -> Result:
    """What is new for a device that is enrolled: a quota, or that its hub does not know it. Raises as enroll."""
    former = identity.load(data)
    if request.name and request.name != former.node:
        raise Refused(
            f"this device is {former.node!r} already (in {data}): name another --data to enroll a second agent"
        )
    if request.mqtt:
        _place(request.mqtt)
    quota = _quota(request.quota) if request.quota else former.quota_bytes
    file = msgspec.structs.replace(former, quota_bytes=quota)
    changed = file != former
    is_wanted, unasked = _is_wanted(data, former, request)
    if is_wanted:
        return Result(file=_again(data, file, request), new=True, again=True, quota_changed=changed)
    if changed:
        identity.save(data, file)
    return Result(file=file, new=False, quota_changed=changed, unasked=unasked)


def _is_wanted(data: Path, former: identity.AgentFile, request: Request) -> tuple[bool, str]:
    """Tell whether to enroll again; or why the hub could not be asked, which is no error: twice is harmless."""
    if not request.token:
        if request.again:
            raise Refused("to enroll again takes a token: skerry token create makes one at the hub")
        return False, ""
    if signing.token_parse(request.token).pin != former.root_pin:
        raise Refused(
            f"this device is {former.node} at hub {former.hub} (in {data}), and the token is of another hub: "
            "name another --data to enroll a second agent"
        )
    if request.again or identity.is_invited(data):
        return True, ""
    asked = former if not request.hub else msgspec.structs.replace(former, api=_api(words.base(request.hub)))
    try:
        return apart.ask(data, asked).unknown, ""
    except Refused as error:
        return False, str(error)


def _again(data: Path, file: identity.AgentFile, request: Request) -> identity.AgentFile:
    """Enroll with the key and the name that this device had; what is not said anew stays. Raises as enroll."""
    here = request.hub or f"https://{words.bracketed(file.api.host)}:{file.api.port}"
    dialled = request.mqtt or ("" if request.hub else f"{words.bracketed(file.mqtt.host)}:{file.mqtt.port}")
    asked = replace(
        request,
        hub=here,
        name=file.node,
        mqtt=dialled,
        labels=request.labels or file.labels,
        quota=request.quota or str(file.quota_bytes),
    )
    met = meeting.meet(words.base(asked.hub), asked.token)
    try:
        answer = _ask(met, asked, data)
    except Refused as error:
        more = "" if "taken by another key" not in str(error) else f"; its journal goes by {file.node}, so --data too"
        raise Refused(f"{error}{more}") from error
    return _keep(data, answer, met.base, asked)


def _api(base: str) -> identity.Address:
    parts = urlsplit(base)
    return identity.Address(host=parts.hostname or "", port=parts.port or words.PORT)


# ------------------------------------------------------------------------------------------------ the hub


def _place(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise Refused(f"{text!r} is no address of an MQTT listener: write --mqtt HOST:PORT, for example 10.0.0.5:8883")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _quota(text: str) -> int:
    if not text:
        return limits.DEVICE_QUOTA_BYTES
    try:
        size = parse_size(text)
    except ValueError as error:
        raise Refused(f"--quota: {error}") from error
    if size < limits.DEVICE_QUOTA_BYTES_MIN:
        least = format_size(limits.DEVICE_QUOTA_BYTES_MIN)
        raise Refused(f"--quota {text}: the journal and the telemetry need {least} at least; write {least} or more")
    return size


def _ask(met: words.Met, request: Request, data: Path) -> words.Enrolled:
    body: dict[str, object] = {
        "token": request.token.strip(),
        "csr": own.make_csr(data, request.name or "device"),
        "name": request.name,
        "labels": request.labels,
        "facts": platform(),
    }
    return meeting.enroll(met, body, "this device")


def _keep(data: Path, answer: words.Enrolled, base: str, request: Request) -> identity.AgentFile:
    host = urlsplit(base).hostname or ""
    mqtt_host, mqtt_port = _place(request.mqtt) if request.mqtt else (answer.mqtt.host or host, answer.mqtt.port)
    file = identity.AgentFile(
        node=ids.node_id(answer.node),
        hub=ids.node_id(answer.hub),
        parent=ids.node_id(answer.hub),
        scope=answer.scope,
        mqtt=identity.Mqtt(
            host=mqtt_host,
            port=mqtt_port,
            name=answer.mqtt.name,
            sealed=answer.mqtt.sealed,
        ),
        api=identity.Address(host=answer.api.host or host, port=answer.api.port),
        root_pin=signing.spki_hash(answer.root),
        labels=request.labels,
        quota_bytes=_quota(request.quota),
    )
    try:
        synced.write(data / "root.pem", answer.root.encode(), 0o644)
        own.store_certificate(data, file, answer.certificate)
        identity.save(data, file)
        (data / identity.INVITE).unlink(missing_ok=True)
    except OSError as error:
        raise Unreachable(f"cannot write to {data}: {error.strerror}; make room and enroll again") from error
    return file
