"""A new token, and what to do with it where the device or the hub is."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from typing import Any

from hub.cli.view import human, output


def say(made: dict[str, Any], url: str, labels: Sequence[str]) -> None:
    """Print the token alone on stdout, for scripts, and the next command on stderr. `url`: of the API, as seen here."""
    is_hub = made.get("kind") == "hub"
    labelled = f", labels {' '.join(labels)}" if labels else ""
    invited = human.plural(int(made["uses"]), "hub" if is_hub else "device")
    until = human.clock(made["expires_ms"], int(time.time() * 1000))
    quoted = shlex.quote(str(made["token"]))
    output.say(str(made["token"]))
    output.note(f"for {invited}{labelled}, until {until}")
    if is_hub:
        output.note("On the machine of the new hub:")
        output.note(f"  skerry hub init --data DIR --name NAME --parent {url} --token {quoted}")
    else:
        if made.get("pin"):
            output.note("On each device (by the pin curl knows this hub, though no public CA does):")
            fetch = f"curl -fsSk --pinnedpubkey sha256//{made['pin']} {url}/install"
            output.note(f"  {fetch} | sudo sh -s -- --token {quoted}")
        else:
            output.note("On each device, once the agent is installed there:")
            output.note(f"  sudo skerry-agent enroll --hub {url} --token {quoted}")
    if "//127." in url or "//localhost" in url or "//[::1]" in url:
        output.note("  (127.0.0.1 is this machine: on another one, write the address under which it sees this hub)")
