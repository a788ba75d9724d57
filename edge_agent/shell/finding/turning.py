"""A device turns to another hub: agent.json names that one from now on."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from edge_agent.shell import identity
from protocol import documents

log = logging.getLogger("skerry.agent")


def turn(data: Path, to: documents.Haven) -> identity.AgentFile:
    """Store that this device looks up to `to`; return agent.json. Raises OSError, StoreError."""
    former = identity.load(data)
    name = to.mqtt_name or to.scope
    file = msgspec.structs.replace(
        former,
        hub=to.id,
        parent=to.id,
        scope=to.scope,
        mqtt=identity.Mqtt(host=to.mqtt_host, port=to.mqtt_port, name=name, sealed=to.sealed),
        api=identity.Address(host=to.api_host, port=to.api_port),
        names=[],
    )
    identity.save(data, file)
    log.warning("this device belongs to hub %s now, and looks up to %s no more", to.id, former.hub)
    return file
