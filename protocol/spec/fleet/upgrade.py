"""`kind: Upgrade`: agents are to be of another version, in waves.

    spec:
      version: 0.2.0
      packages: [./skerry-agent_0.2.0+deb12_amd64.deb, ./skerry-agent_0.2.0+deb12_arm64.deb]
      placement: {selector: "site=oslo"}
      waves: [1, 25%, all]
      confirm: 2m
      stop_after: 0

A wave says how many nodes have the version when it is done, or which share of those that `selector` selects; each hub
counts its own. The next one starts when every node of the one before is well; none starts any more when more than
`stop_after` went back to what they had. A device gets the package for its Debian and its machine, which stand in the
package; one that none is for counts in no wave, and is shown. `only: [NAME, ...]` is for a first try: the root hub
signs it, so that no region, and no daemon that was taken over, has another device install it.
"""

# ruff: noqa: RUF012 (pydantic copies defaults)
from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from protocol import documents, limits
from protocol.spec import common, quantities

VersionText = Annotated[
    str,
    BeforeValidator(common.text_of),
    common.fitting("[0-9][0-9A-Za-z.~]{0,60}", "is no version: write it as the package has it, 0.2.0"),
]
_PLACED = re.compile(r"deb([1-9][0-9]{0,2})_(amd64|arm64|armhf)@(sha256:[0-9a-f]{64})", re.ASCII)


def placed(release: str, arch: str, digest: str) -> str:
    """Return how a package is written once its file was read: for which Debian and machine, and its digest."""
    return f"deb{release}_{arch}@{digest}"


def _one_each(packages: list[str]) -> list[str]:
    seen: set[str] = set()
    for where in (one.partition("@")[0] for one in packages if _PLACED.fullmatch(one)):
        if where in seen:
            raise ValueError(f"two packages are for {where.replace('_', ' on ')}: keep one")
        seen.add(where)
    return packages


Wave = Annotated[
    str,
    BeforeValidator(common.text_of, json_schema_input_type=str | int),
    common.fitting(
        "[1-9][0-9]{0,6}|(?:[1-9][0-9]?|100)%|all", "is no wave: write a number of nodes, a share (25%), or all"
    ),
]


class Where(common.Model):
    """On which nodes: those that `selector` selects. An empty selector selects nobody."""

    selector: common.SelectorText
    regions: Annotated[common.SelectorText | None, Field(description="Which child hubs; absent: all, and here.")] = None


class UpgradeSpec(common.Model):
    """What is wished for. `packages` are files next to this one, or (stored) as `placed` writes them."""

    version: VersionText
    packages: Annotated[
        list[Annotated[str, Field(min_length=1)]],
        Field(min_length=1, max_length=limits.UPGRADE_PACKAGES_MAX),
        AfterValidator(_one_each),
    ]
    placement: Where
    waves: Annotated[list[Wave], Field(min_length=1, max_length=limits.UPGRADE_WAVES_MAX)] = ["all"]
    confirm: Annotated[float, quantities.Seconds(limits.UPGRADE_CONFIRM_S_MIN, limits.UPGRADE_CONFIRM_S_MAX)] = (
        limits.UPGRADE_CONFIRM_S
    )
    stop_after: Annotated[int, Field(ge=0, le=limits.INTEGER_MAX)] = 0
    only: Annotated[
        list[common.NameText],
        Field(max_length=limits.UPGRADE_ONLY_MAX, description="No other nodes than these may have it, by their names."),
    ] = []


class Upgrade(common.Resource):
    """Another version of the agent: the devices put it in place by themselves, or go back."""

    kind: Literal["Upgrade"] = "Upgrade"  # pyright: ignore[reportIncompatibleVariableOverride]
    spec: UpgradeSpec

    def document(self) -> documents.Upgrade:
        """Return which version the agents are to be of, as yet by nobody's word."""
        spec = self.spec
        return documents.Upgrade(
            name=self.name,
            version=spec.version,
            packages=[_package(one) for one in spec.packages],
            only=spec.only,
            confirm_s=spec.confirm,
        )


def _package(written: str) -> documents.Package:
    """Return a package; of one that was not read only its name is known, and no device has it."""
    found = _PLACED.fullmatch(written)
    release, arch, artifact = found.groups() if found is not None else ("", "", written)
    return documents.Package(release=release, arch=arch, artifact=artifact)
