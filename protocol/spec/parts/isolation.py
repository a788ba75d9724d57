"""What a service is kept from, as the operator writes it (documents.Isolation is what the device makes of it)."""

# ruff: noqa: RUF012 (pydantic copies defaults)
from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from protocol import documents, limits
from protocol.spec import common, quantities

RLIMITS = ("as", "core", "cpu", "data", "fsize", "memlock", "msgqueue", "nofile", "nproc", "sigpending", "stack")


def _absolute(value: str) -> str:
    if not value.startswith("/") or value.startswith("//") or any(part in (".", "..") for part in value.split("/")):
        raise ValueError(f"{quantities.shown(value)} is no absolute path: write it from / on, without . and ..")
    return value


PathText = Annotated[common.Text, AfterValidator(_absolute)]
PathList = Annotated[list[PathText], Field(max_length=limits.ISOLATION_PATHS_MAX)]
GroupText = Annotated[
    str,
    BeforeValidator(common.text_of),
    common.fitting("[a-z_][a-z0-9_-]{0,31}", "is no group: write a group's name"),
]
RlimitText = Annotated[str, common.fitting("|".join(RLIMITS), f"is no limit: write one of {', '.join(RLIMITS)}")]


class Paths(common.Model):
    """All that it may touch besides the system's programs and its own working directory, where the kernel can tell."""

    read: PathList = []
    write: PathList = []


class Isolation(common.Model):
    """What it is kept from. What a device cannot enforce is told there; with `required` it does not run there."""

    required: bool = False
    groups: Annotated[list[GroupText], Field(max_length=limits.ISOLATION_GROUPS_MAX)] = []
    new_privileges: bool = False
    read_only: PathList = []
    private_tmp: bool = False
    network: Literal["host", "none"] = "host"
    paths: Paths = Paths()
    rlimits: dict[RlimitText, Annotated[int, Field(ge=0, le=limits.INTEGER_MAX)]] = {}

    def document(self) -> documents.Isolation:
        """Return it in the agent's language."""
        return documents.Isolation(
            required=self.required,
            groups=self.groups,
            new_privileges=self.new_privileges,
            read_only=self.read_only,
            private_tmp=self.private_tmp,
            no_network=self.network == "none",
            reads=self.paths.read,
            writes=self.paths.write,
            rlimits=self.rlimits,
        )
