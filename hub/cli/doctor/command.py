"""`skerry doctor [--data DIR]`: what may be wrong, and what to do next. Exit codes as everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hub.cli import options
from hub.cli.view import output

EXAMPLES = """\b
Examples:
  skerry doctor                            your context, hub, fleet in short
  sudo skerry doctor --data /var/lib/skerry/hub   on the hub's machine
  skerry doctor -o json                    for a program"""


def doctor(
    data: Annotated[Path | None, typer.Option("--data", help="On the hub's machine: the folder of `hub init`.")] = None,
    form: options.Output = output.Format.TABLE,
) -> None:
    """Check and explain: files, permissions, certificates, clock, disk, ports, versions; the hub may serve or not.

    Changes nothing. Exit code 0: no problem; 1: a problem; 3: the only problem is that somebody is not there: the hub,
    a region, a device.
    """
    from hub.cli.doctor import operator
    from hub.core.doctor import fleet, folder, parent
    from hub.shell.doctor import gather
    from protocol.doctor import findings
    from protocol.doctor.findings import Unseen

    if data is None:
        found = fleet.fleet(operator.fleet())
    else:
        seen = gather.folder(data.absolute())
        found = folder.folder(seen)
        if not isinstance(seen.named, Unseen) and not isinstance(seen.root, Unseen):
            found.append(fleet.beside(seen.named.id, seen.root.public, operator.context()))
            if found[-1].state is findings.State.OK and not isinstance(seen.store, Unseen) and seen.store.holder:
                alarms, strangers = fleet.waiting(operator.waiting())
                found = [alarms if one.check == alarms.check and not one.next else one for one in found]
                found.append(strangers)
                at = next(at for at, one in enumerate(found) if one.check == parent.CHECK)
                found[at : at + 1] = parent.parent(operator.above())
    if form.is_exact:
        output.emit(findings.as_json(found), form)
    else:
        for line, colour in findings.lines(found):
            output.say(line, colour)
    raise typer.Exit(findings.code(found))
