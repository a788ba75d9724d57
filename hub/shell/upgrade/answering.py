"""`python -m hub.shell.upgrade.answering FOLDER API [MQTT]`: does the hub of FOLDER answer, over TLS?

As others meet it, and in a process of its own: who hangs cannot ask itself. Prints what is wrong; nothing: it answers.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from hub.shell.doctor import serving
from hub.shell.home import Home, Place, parse_place
from protocol.aio import tls
from protocol.aio.checkup import ways
from protocol.doctor.facts import Step
from protocol.errors import SkerryError
from protocol.trust import certificates


def fault(home: Home, api: Place, mqtt: Place | None) -> str:
    """Return what is wrong with what listens at `api` and `mqtt` (None: children come through a broker)."""
    file = msgspec.structs.replace(home.load(), api=api)
    answer = serving.answer(home, file)
    if answer.error or answer.hub != file.id:
        return f"its API at {answer.where} does not answer: {answer.error or f'{answer.hub} does'}"
    if mqtt is None:
        return ""
    authority = "root.pem" if file.parent is None else "ca.pem"
    scope = certificates.scope_of(home.path(authority).read_bytes())
    context = tls.api_context(home.path("root.pem").read_text(), scope)
    way = ways.way(serving.dialled(mqtt.host), mqtt.port, context)
    # It has proved itself then; that we have no certificate for it is ours.
    return "" if way.reached is Step.TLS else f"its door at {way.where} does not answer: {way.error}"


def main(folder: str, api: str, mqtt: str = "") -> None:
    """Print it."""
    try:
        place = parse_place(mqtt, "MQTT") if mqtt else None
        print(fault(Home(Path(folder)), parse_place(api, "API"), place))
    except (OSError, SkerryError) as error:
        print(f"it cannot be asked: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
