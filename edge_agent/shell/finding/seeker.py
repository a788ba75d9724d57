"""The helper that looks for a hub that moved: `python -m edge_agent.shell.finding.seeker`, a job on stdin.

Candidates: what announces our hub's id and our root on the local network, and the names in the certificate that the hub
showed last, at the ports that are known. Each must prove by mutual TLS, under our root and by the hub's name, that it
is the hub; who cannot is left out, whatever it says. Writes nothing: the daemon does.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from edge_agent.shell import identity
from edge_agent.shell.finding.seeking import Found, Job
from protocol import limits
from protocol.aio.finding import proof
from protocol.aio.finding.words import Announced
from protocol.errors import SkerryError

Place = tuple[identity.Address, identity.Address]
"""Where children connect, and the API."""


def perform(job: Job, listen: Callable[[float], Sequence[Announced]]) -> Found:
    """Look; what goes wrong is told in the answer."""
    data = Path(job.data)
    try:
        file = identity.load(data)
        if job.grant:
            from edge_agent.shell.finding import havens  # X.509, for this job only

            return havens.look(data, file, job.grant)
        context = identity.link_context(data, file)
        heard: Sequence[Announced] = []
        with contextlib.suppress(OSError):  # no network that announcements go over; its names may still lead there
            heard = listen(limits.DISCOVER_WAIT_S)
        doubts: list[str] = []
        for tried, (mqtt, api) in enumerate(_places(file, heard)):
            if tried >= limits.FOUND_TRIES_MAX:
                break
            doubt = proof.stands(mqtt.host, mqtt.port, context)
            if not doubt:
                return Found(mqtt=mqtt, api=api)
            doubts.append(f"{proof.text(mqtt.host, mqtt.port)}: {doubt}")
    except (SkerryError, OSError) as error:
        return Found(reason=str(error))
    if not doubts:
        return Found(reason=f"nobody on this network announces itself as {file.hub}")
    return Found(reason=f"{file.hub} is not at {'; '.join(doubts[:4])}")


def _places(file: identity.AgentFile, heard: Sequence[Announced]) -> Iterator[Place]:
    """Yield where the hub may be, each place once, the likely ones first."""
    seen = {(file.mqtt.host, file.mqtt.port)}
    for one in heard:
        if (one.hub, one.root) != (file.hub, file.root_pin):
            continue
        for host in one.hosts:
            at = one.children(host)
            if at not in seen:
                seen.add(at)
                yield identity.Address(host=at[0], port=at[1]), identity.Address(host=host, port=one.api)
    for host in file.names:
        if (host, file.mqtt.port) not in seen:
            seen.add((host, file.mqtt.port))
            yield identity.Address(host=host, port=file.mqtt.port), identity.Address(host=host, port=file.api.port)


if __name__ == "__main__":
    from protocol.aio.finding import mdns

    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    sys.stdout.buffer.write(msgspec.json.encode(perform(asked, mdns.listen)))
