"""Other versions of a package that was built: the same code under another number, or with a fault put into it.

A version is made of what `make packages` made, for building one anew takes minutes; all that bears its number bears
the other one. Nothing is compressed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

Fault = tuple[str, str, str]
"""A file, what stands there, what is put there."""
BROKEN: Fault = ("edge_agent/app.py", "from __future__ import annotations\n", "\nraise SystemExit(3)\n")
"""It ends as soon as it is started."""
SPEECHLESS: Fault = (
    "edge_agent/shell/upgrade/daemon.py",
    "        places.write(at.said",
    "        return\n        places.write(at.said",
)
"""It runs, and never says so."""
UNWELL: Fault = ("edge_agent/shell/upgrade/daemon.py", "fault=action.fault), 0o600", 'fault="it is not well"), 0o600')
"""It runs, and says that it is not well."""
MIGRATING: tuple[Fault, ...] = (
    ("protocol/aio/sqlite.py", "SCHEMA_VERSION = 1\n", "SCHEMA_VERSION = 2\n"),
    (
        "protocol/aio/sqlite.py",
        '    db.execute(f"PRAGMA user_version',
        '    db.execute("ALTER TABLE state ADD COLUMN later TEXT")\n    db.execute(f"PRAGMA user_version',
    ),
)
"""It has a store of the next version, and makes its device's one."""
BROKEN_HUB: Fault = ("hub/app.py", *BROKEN[1:])
SPEECHLESS_HUB: Fault = ("hub/shell/upgrade/trial.py", "        places.write(self._at.said", "        return  # ")
DEAF_HUB: Fault = (
    "hub/shell/front_door.py",
    "        connection = self._by_node.get(peer)\n",
    "        connection = None\n",
)
"""It lets its children in, and never answers them."""
_COMMAND = {"skerry-agent": "skerry-agent", "skerry-hub": "skerry"}


def another(package: Path, version: str, folder: Path, *faults: Fault) -> Path:
    """Return the package of `version` made of `package`, with `faults` in it."""
    files = folder / "files"
    shutil.rmtree(files, ignore_errors=True)
    subprocess.run(("dpkg-deb", "--raw-extract", package, files), check=True)
    name = package.name.partition("_")[0]
    (former,) = (files / "usr/lib" / name / "versions").iterdir()
    full = re.sub(r"^[^+]*", version, former.name)
    home = former.rename(former.with_name(full))
    for path in (files / "DEBIAN/control", files / "DEBIAN/postinst", home / "bin" / _COMMAND[name]):
        _replace(path, former.name, full)
    (site,) = home.glob("lib/python3*/site-packages")
    number = former.name.partition("+")[0]
    _replace(site / "edge_agent/app.py", f'VERSION = "{number}"', f'VERSION = "{version}"')
    _replace(next(site.glob("skerry-*.dist-info/METADATA")), f"\nVersion: {number}\n", f"\nVersion: {version}\n")
    for file, before, after in faults:
        _replace(site / file, before, after)
    for path in {site / "edge_agent/app.py", *(site / name for name, _, _ in faults)}:
        for old in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
            old.unlink()  # compiled ones are not looked at again
    made = folder / re.sub(r"_[^_]*_", f"_{full}_", package.name, count=1)
    subprocess.run(
        ("dpkg-deb", "--root-owner-group", "-Znone", "--build", files, made), check=True, capture_output=True
    )
    shutil.rmtree(files)
    return made


def is_side_by_side(package: Path) -> bool:
    """Tell whether versions of this package lie side by side."""
    listed = subprocess.run(("dpkg-deb", "--contents", package), check=True, capture_output=True, text=True).stdout
    return f"/usr/lib/{package.name.partition('_')[0]}/versions/" in listed


def _replace(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text, (path, before)
    path.write_text(text.replace(before, after))
