"""Print what of requirements.lock `skerry[EXTRA]` needs, with its hashes: pins.py EXTRA <requirements.lock

Whatever needs it in turn, on any platform; pip leaves out what its markers rule out. `pins.py EXTRA but NAME...` leaves
these out, `pins.py EXTRA only NAME...` all others.
"""

import importlib.metadata
import re
import sys

_NAME = re.compile(r"([\w.-]+)(?:\[([\w,-]+)\])?")


def needed(extra: str) -> set[str]:
    """Return the names of all packages that `skerry[extra]` needs, as the lock file writes them."""
    found: set[str] = set()
    todo = [("skerry", extra)]
    while todo:
        package, of = todo.pop()
        for line in importlib.metadata.requires(package) or []:
            wanted, _, marker = line.partition(";")
            if "extra ==" in marker and not (of and re.search(rf"""extra == ['"]{of}['"]""", marker)):
                continue
            name, extras = _NAME.match(wanted).groups()
            name = re.sub(r"[-_.]+", "-", name).lower()
            if name not in found and _is_here(name):
                found.add(name)
                todo.append((name, ""))
            todo += [(name, one) for one in (extras or "").split(",") if one]
    return found - {"skerry"}


def _is_here(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False  # for another platform
    return True


if __name__ == "__main__":
    wanted = needed(sys.argv[1])
    if len(sys.argv) > 2:
        named = set(sys.argv[3:])
        wanted = wanted & named if sys.argv[2] == "only" else wanted - named
    blocks = re.split(r"\n(?=\w)", sys.stdin.read())
    print("\n".join(block for block in blocks if block.partition("==")[0] in wanted))
