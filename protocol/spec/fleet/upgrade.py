"""`kind: Upgrade`: agents are to be of another version, in waves.

    spec:
      artifact: ./skerry-agent_0.2.0+deb12_amd64.deb
      version: 0.2.0
      debian: 12
      arch: amd64
      placement: {selector: "site=oslo"}
      waves: [1, 25%, all]
      confirm: 2m
      stop_after: 0

A wave says how many nodes have the version when it is done, or which share of those that `selector` selects; each hub
counts its own. The next one starts when every node of the one before is well; none starts any more when more than
`stop_after` went back to what they had. Devices of another Debian or another machine are none of its business.
"""

# ruff: noqa: RUF012 (pydantic copies defaults)
from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from protocol import documents, limits
from protocol.spec import common, quantities

VersionText = Annotated[
    str,
    BeforeValidator(common.text_of),
    common.fitting("[0-9][0-9A-Za-z.~]{0,60}", "is no version: write it as the package has it, 0.2.0"),
]
ReleaseText = Annotated[
    str,
    BeforeValidator(common.text_of),
    common.fitting("[1-9][0-9]{0,2}", "is no release of Debian: write its number, 12"),
]
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
    """What is wished for. `artifact` is the package next to the file, or (stored) its digest."""

    artifact: Annotated[str, Field(min_length=1)]
    version: VersionText
    debian: ReleaseText
    arch: Literal["amd64", "arm64", "armhf"]
    placement: Where
    waves: Annotated[list[Wave], Field(min_length=1, max_length=limits.UPGRADE_WAVES_MAX)] = ["all"]
    confirm: Annotated[float, quantities.Seconds(limits.UPGRADE_CONFIRM_S_MIN, limits.UPGRADE_CONFIRM_S_MAX)] = (
        limits.UPGRADE_CONFIRM_S
    )
    stop_after: Annotated[int, Field(ge=0, le=limits.INTEGER_MAX)] = 0


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
            release=spec.debian,
            arch=spec.arch,
            artifact=spec.artifact,
            confirm_s=spec.confirm,
        )
