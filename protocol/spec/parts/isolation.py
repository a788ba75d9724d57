"""What a workload is kept from and what it may use, as the operator writes it (documents.Isolation and Limits are what
the device makes of it). A step's own words stand before those of its workflow, each for itself."""

# ruff: noqa: RUF012 (pydantic copies defaults)
from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

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


class Resources(common.Model):
    """Limits; what is not written is left to the device."""

    memory: quantities.Size | None = None
    cpu: Annotated[float, Field(gt=0, le=1_024)] | None = None
    open_files: Annotated[int, Field(ge=8, le=1_048_576)] | None = None
    processes: Annotated[int, Field(ge=1, le=1_048_576)] | None = None

    def document(self) -> documents.Limits:
        """Return them in the agent's language."""
        return documents.Limits(
            memory_bytes=self.memory, cpu=self.cpu, open_files=self.open_files, processes=self.processes
        )


T = TypeVar("T", Isolation, Resources)


def _written(own: Isolation | Resources | None) -> dict[str, Any] | None:
    """Return what stands in the file: a default that is written takes the place of the workflow's word."""
    return None if own is None else own.model_dump(mode="json", by_alias=True, exclude_unset=True)


OwnIsolation = Annotated[Isolation | None, PlainSerializer(_written)]
OwnResources = Annotated[Resources | None, PlainSerializer(_written)]


def over(own: T, of_all: T) -> T:
    """Return `of_all` with the words that `own` writes."""
    return of_all.model_copy(update={name: getattr(own, name) for name in own.model_fields_set})
