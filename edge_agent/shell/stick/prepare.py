"""A device becomes one of a fleet with no network: what its invite says is kept, and its key made, here.

It works and is asked by sticks from then on; it enrolls when it first reaches its hub, or when one of its own sticks
does. Twice is harmless. Not imported by the daemon (X.509).
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from edge_agent.shell import identity
from edge_agent.shell.papers import own
from protocol.aio.carrying.invite import Invite
from protocol.aio.upkeep import synced
from protocol.errors import Refused, StoreError, TrustError
from protocol.trust import signing


def prepare(data: Path, invite: Invite, labels: dict[str, str]) -> bool:
    """Make this device the one that was invited; tell whether it is that only now. Raises Refused, TrustError,
    StoreError."""
    if (data / "agent.json").exists():
        former = identity.load(data)
        if (former.node, former.hub) != (invite.node, invite.hub):
            raise Refused(
                f"this device is {former.node} of hub {former.hub} already (in {data}), and the stick is for "
                f"{invite.node} of hub {invite.hub}: name another --data to have a second agent"
            )
        if not identity.is_invited(data):
            return False
    pin = signing.spki_hash(invite.root)
    if signing.token_parse(invite.token).pin != pin:
        raise TrustError("the token of this invite is of another hub than its certificate: make the stick anew")
    identity.make_directory(data)
    try:
        own.key_of(data)
        synced.write(data / "root.pem", invite.root.encode(), 0o644)
        synced.write(data / identity.INVITE, msgspec.json.encode(invite))
        identity.save(data, _file(invite, pin, labels))
    except OSError as error:
        raise StoreError(f"cannot write to {data}: {error.strerror}; make room, or run as root") from error
    return True


def _file(invite: Invite, pin: str, labels: dict[str, str]) -> identity.AgentFile:
    return identity.AgentFile(
        node=invite.node,
        hub=invite.hub,
        parent=invite.hub,
        scope=invite.scope,
        mqtt=identity.Mqtt(
            host=invite.mqtt.host, port=invite.mqtt.port, name=invite.mqtt.name, sealed=invite.mqtt.sealed
        ),
        api=identity.Address(host=invite.api.host, port=invite.api.port),
        root_pin=pin,
        labels=labels,
    )
