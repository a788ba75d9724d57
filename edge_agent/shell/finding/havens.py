"""Which hub a device may turn to because its own is gone: proven, both that it may and that the hub is there.

Only in a helper. If neither its own hub nor any that the grant names is there, this device itself is cut off, and that
is no reason to leave anybody.
"""

from __future__ import annotations

from pathlib import Path

from edge_agent.shell import identity
from edge_agent.shell.finding.seeking import Found
from edge_agent.shell.papers import own
from protocol import documents
from protocol.aio import tls
from protocol.aio.finding import proof
from protocol.trust import grants


def look(data: Path, file: identity.AgentFile, text: str) -> Found:
    """Return the first hub of the grant in `text` that is there, if ours is not. Raises SkerryError, OSError."""
    grant = documents.decode(text.encode())
    scope = own.certificate(data).scope
    if not isinstance(grant, documents.Grant) or grant.scope != scope:
        return Found(reason=f"the grant is not for the devices of {scope}")
    grants.check(grant, file.root_pin, scope)
    if not proof.stands(file.mqtt.host, file.mqtt.port, identity.link_context(data, file)):
        return Found(reason=f"{file.hub} is there, but does not serve this device")
    doubts: list[str] = []
    for haven in grant.havens:
        if haven.id == file.hub:
            continue
        name = haven.mqtt_name or haven.scope
        context = tls.child_context(chain=data / "cert.pem", key=data / "key.pem", root=data / "root.pem", name=name)
        doubt = proof.stands(haven.mqtt_host, haven.mqtt_port, context)
        if not doubt:
            return Found(to=haven)
        doubts.append(f"{haven.id}: {doubt}")
    return Found(reason=f"no hub that it may turn to is there: {'; '.join(doubts)}")
