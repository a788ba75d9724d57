"""What can be enforced on this device, and why not the rest: tried, not guessed."""

from __future__ import annotations

import os
from collections.abc import Callable

from edge_agent.launcher import kernel
from edge_agent.launcher.groups import CONTROLLERS, Groups
from edge_agent.launcher.house import in_fork

_ALWAYS = ("user", "groups", "no_new_privileges", "rlimits")


def able(groups: Groups) -> tuple[list[str], dict[str, str]]:
    """Return what can be enforced, and of what cannot why."""
    kernel_is = f"kernel {os.uname().release}"
    why = {
        "read_only": "" if kernel.can_make_read_only() else f"{kernel_is} has no mount_setattr, which came with 5.12",
        "private_tmp": _tried(_hide),
        "no_network": _tried(kernel.no_network),
        "paths": kernel.landlock_lacks() and f"{kernel_is} {kernel.landlock_lacks()}",
    }
    bounded = groups.able()
    why |= {name: "" if name in bounded else groups.why(name) for name in CONTROLLERS}
    return [*_ALWAYS, *(name for name, text in why.items() if not text)], {
        name: text for name, text in why.items() if text
    }


def _hide() -> None:
    kernel.own_mounts()
    kernel.private_tmp()


def _tried(work: Callable[[], None]) -> str:
    """Return why `work` cannot be done here, which changes the process that does it: so another one does."""
    read, write = os.pipe()

    def tell(why: str) -> None:
        os.write(write, why.encode())

    def done() -> None:
        try:
            work()
        except OSError as error:
            tell(f"the kernel refuses it: {error.filename}: {error.strerror}")
        os._exit(0)

    in_fork(done, tell)
    os.close(write)
    with os.fdopen(read, "rb") as said:
        return said.read().decode()
