"""What the shells do for a device that turns to another hub: where hubs listen, and what proves a Move or a grant."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519

from edge_agent.core import inputs
from protocol import documents
from protocol.errors import TrustError
from protocol.trust import grants

if TYPE_CHECKING:
    from tests.sim.device import Device
    from tests.sim.hub import Hub
    from tests.sim.world import World


def haven(hub: Hub) -> documents.Haven:
    """Return what `hub` says of where it listens."""
    return documents.Haven(
        id=hub.node, scope=hub.domain, mqtt_host=hub.name, mqtt_port=8883, api_host=hub.name, api_port=8443
    )


def checked(device: Device, action: inputs.CheckMove) -> inputs.MoveChecked:
    """Prove a Move, as the device's notary does."""
    move = msgspec.json.decode(action.move, type=documents.Move)
    try:
        if (move.node, move.key) != (device.node, device.key):
            raise TrustError("it is of another node")
        _prove(device.world, move, device.home.domain, [move.to])
    except TrustError as error:
        return inputs.MoveChecked(digest=action.digest, error=str(error))
    return inputs.MoveChecked(digest=action.digest)


def found(device: Device, action: inputs.LookForHaven) -> inputs.HavenFound:
    """Look, as edge_agent.shell.finding.seeking: who reaches no hub at all is cut off himself, and stays."""
    grant = msgspec.json.decode(action.grant, type=documents.Grant)
    try:
        _prove(device.world, grant, device.home.domain, grant.havens)
    except TrustError as error:
        return inputs.HavenFound(digest=action.digest, reason=str(error))
    if device.home.alive or not device.path.is_open:
        return inputs.HavenFound(digest=action.digest, reason="its hub is there, or nobody is")
    others = [one for one in grant.havens if one.id != device.parent and device.world.hubs[one.id].alive]
    return inputs.HavenFound(digest=action.digest, to=others[0] if others else None, reason="nobody answers")


def _prove(world: World, said: grants.Said, scope: str, havens: list[documents.Haven]) -> None:
    """Raise TrustError unless a hub above `scope` and above `havens` has signed `said`; as protocol.trust.grants."""
    above = world.hubs[said.by]
    for one in (scope, *(haven.scope for haven in havens)):
        if one != above.domain and not one.endswith(f".{above.domain}"):
            raise TrustError(f"hub {said.by} is not above {one}")
    try:
        key = ed25519.Ed25519PublicKey.from_public_bytes(above.public_key)
        key.verify(base64.b64decode(said.signature), grants.covered(said))
    except (InvalidSignature, ValueError) as error:
        raise TrustError(f"the signature of {said.by} is wrong") from error
