"""Other versions of a package that was built: the same code under another number, or with a fault put into it.

A version is made of what `make packages` made, for building one anew takes minutes; all that bears its number bears
the other one. Nothing is compressed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

BROKEN = ("edge_agent/app.py", "from __future__ import annotations\n", "\nraise SystemExit(3)\n")
"""It ends as soon as it is started."""
SPEECHLESS = (
    "edge_agent/shell/upgrade/daemon.py",
    "        places.write(at.said",
    "        return\n        places.write(at.said",
)
"""It runs, and never says so."""


def another(package: Path, version: str, folder: Path, fault: tuple[str, str, str] | None = None) -> Path:
    """Return the package of `version` made of `package`; `fault`: a file, what stands there, what is put there."""
    files = folder / "files"
    shutil.rmtree(files, ignore_errors=True)
    subprocess.run(("dpkg-deb", "--raw-extract", package, files), check=True)
    (former,) = (files / "usr/lib/skerry-agent/versions").iterdir()
    full = re.sub(r"^[^+]*", version, former.name)
    home = former.rename(former.with_name(full))
    for path in (files / "DEBIAN/control", files / "DEBIAN/postinst", home / "bin/skerry-agent"):
        _replace(path, former.name, full)
    (site,) = home.glob("lib/python3*/site-packages")
    _replace(site / "edge_agent/app.py", f'VERSION = "{former.name.partition("+")[0]}"', f'VERSION = "{version}"')
    if fault is not None:
        _replace(site / fault[0], fault[1], fault[2])
    for name in ("app", Path(fault[0]).stem if fault else "app"):  # compiled ones are not looked at again
        for old in (site / "edge_agent").rglob(f"__pycache__/{name}.*.pyc"):
            old.unlink()
    made = folder / re.sub(r"_[^_]*_", f"_{full}_", package.name, count=1)
    subprocess.run(
        ("dpkg-deb", "--root-owner-group", "-Znone", "--build", files, made), check=True, capture_output=True
    )
    shutil.rmtree(files)
    return made


def is_side_by_side(package: Path) -> bool:
    """Tell whether versions of this package lie side by side."""
    listed = subprocess.run(("dpkg-deb", "--contents", package), check=True, capture_output=True, text=True).stdout
    return "/usr/lib/skerry-agent/versions/" in listed


def _replace(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text, (path, before)
    path.write_text(text.replace(before, after))
