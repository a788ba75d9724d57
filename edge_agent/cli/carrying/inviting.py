"""`enroll --from`: a device becomes one of a fleet by a stick, with no network."""

from __future__ import annotations

from pathlib import Path

from edge_agent.cli import view
from edge_agent.shell import identity
from protocol.aio.carrying import invite


def prepare(stick: Path, name: str, labels: dict[str, str], data: Path | None) -> None:
    """Make this device the one that the stick was made for. Raises Refused, TrustError, StoreError."""
    from edge_agent.shell.stick import prepare as preparing

    found = invite.read(invite.find(stick, name))  # before root steps down, who alone may read the stick
    place = data or identity.default_data()
    identity.act_as_owner(place)
    if not preparing.prepare(place, found, labels):
        view.say(f"This device is {found.node} of hub {found.hub} already, and is enrolled; nothing was changed.")
        return
    option = "" if data is None else f" --data {data}"
    view.say(f"prepared     as {found.node} of hub {found.hub}; the key was made here and stays here ({place})")
    view.say("enrolling    when it first reaches that hub, or when one of its own sticks does")
    view.say(f"Next:  skerry-agent run{option}, and skerry-agent import {stick}{option}")
