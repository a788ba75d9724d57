"""The helper that looks for a hub that moved: `python -m edge_agent.shell.finding.seeker`, a job on stdin.

What is looked at, and what counts: protocol.aio.finding.places. Writes nothing: the daemon does.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from edge_agent.shell import identity
from edge_agent.shell.finding.seeking import Found, Job
from protocol.aio.finding import places
from protocol.errors import SkerryError


def perform(job: Job, listen: places.Listen) -> Found:
    """Look; what goes wrong is told in the answer."""
    data = Path(job.data)
    try:
        file = identity.load(data)
        if job.grant:
            from edge_agent.shell.finding import havens  # X.509, for this job only

            return havens.look(data, file, job.grant)
        found = places.look(_wanted(file), identity.link_context(data, file), listen)
    except (SkerryError, OSError) as error:
        return Found(reason=str(error))
    return Found(reason=found.reason) if found.mqtt is None else Found(mqtt=_at(found.mqtt), api=_at(found.api))


def _wanted(file: identity.AgentFile) -> places.Wanted:
    mqtt, api = (file.mqtt.host, file.mqtt.port), (file.api.host, file.api.port)
    return places.Wanted(hub=file.hub, root=file.root_pin, mqtt=mqtt, api=api, names=file.names)


def _at(place: places.Place) -> identity.Address:
    return identity.Address(host=place[0], port=place[1])


if __name__ == "__main__":
    from protocol.aio.finding import mdns

    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    sys.stdout.buffer.write(msgspec.json.encode(perform(asked, mdns.listen)))
