"""What goes over the network, and onto the card, when a device is installed: the packages that `make packages` made."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.bench.registry import Bench, NotMeasured, figure

_OUT = Path(__file__).parents[2] / "build" / "packages" / "out"
_FORM = "${Package}_${Version}_${Architecture} ${Installed-Size}\n"
_KIB_IN_MB = 1_024 / 1_000_000


@figure("package_mb", unit="MB")
async def package_mb(bench: Bench) -> dict[str, float]:
    """Each package as it is downloaded, and `installed`: what Debian says that its files take. Raises NotMeasured where
    none was built."""
    packages = sorted(_OUT.glob("skerry-*.deb"))
    if not packages:
        raise NotMeasured(f"no package was built here ({_OUT} holds none): run 'make packages' first")
    found: dict[str, float] = {}
    for path in packages:
        asked = ("dpkg-deb", "--show", f"--showformat={_FORM}", str(path))
        process = await asyncio.create_subprocess_exec(*asked, stdout=asyncio.subprocess.PIPE)
        name, size = (await process.communicate())[0].decode().split()
        name = name.removeprefix("skerry-")
        found[name] = path.stat().st_size / 1_000_000
        found[f"{name} installed"] = int(size) * _KIB_IN_MB
    return found
