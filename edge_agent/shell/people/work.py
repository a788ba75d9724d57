"""What the device's owner lets run, where no launcher looks: the same table `work`, as far as an agent can keep it.

It starts what names no user as its own user, whatever the table says; all else that the table forbids it refuses.
"""

from __future__ import annotations

import os
from pathlib import Path

from edge_agent.shell.people.rights import FILE, VARIABLE
from edge_agent.shell.runners import script
from protocol.errors import Refused


def check(instance: str, user: str, command: list[str], setting: script.Setting) -> None:
    """Raises Refused when the owner does not allow it, or when nobody can tell what they allow."""
    path = Path(os.environ.get(VARIABLE, "") or FILE)
    if not path.exists():
        return
    import tomllib  # all this only where there is a file
    from dataclasses import replace

    from edge_agent.launcher import policy
    from edge_agent.launcher.request import Request

    try:
        file = tomllib.loads(path.read_text())
        allowed = policy.parse(file)
    except (OSError, ValueError) as error:
        raise Refused(f"{path} is wrong, so nothing may run: {error}") from error
    if "work" not in file:
        return
    who = setting.identity
    program = os.path.normpath(setting.cwd / script.command(command, setting.cwd, setting.env["PATH"])[0])
    asked = Request(do="launch", instance=instance, user=user, command=[program], env=setting.env)
    if not user:
        allowed = replace(allowed, user=who.name, users=(*allowed.users, who.name))
    account = policy.Who(name=who.name, uid=who.uid, gid=who.gid)
    if found := policy.refusal(asked, account, os.path.realpath(program), allowed, -1):
        raise Refused(found)
