"""`kind: Service`: something that runs on, on every node it is placed on."""

# ruff: noqa: RUF012 (pydantic copies defaults)
from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, model_validator

from protocol import limits
from protocol.spec import common, quantities
from protocol.spec.parts.disconnect import Disconnect
from protocol.spec.parts.isolation import Isolation, Resources
from protocol.spec.placement import Placement

_LOOPBACK = re.compile(r"https?://(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::\d{1,5})?(?:/\S*)?", re.ASCII)
_MODE = re.compile(r"0?o?[0-7]{3}", re.ASCII)


def _mode(value: object) -> int:
    text = str(common.text_of(value))
    if _MODE.fullmatch(text) is None:
        raise ValueError(f'{quantities.shown(value)} is no mode: write "0644", or "0755" for what is to be run')
    return int(text.removeprefix("0o"), 8)


def _format_mode(mode: int) -> str:
    return f"{mode:04o}"


def _loopback(value: str) -> str:
    if _LOOPBACK.fullmatch(value) is None:
        raise ValueError(f"{quantities.shown(value)}: a probe asks the device itself; write http://127.0.0.1:PORT/PATH")
    return value


Mode = Annotated[
    int, BeforeValidator(_mode, json_schema_input_type=str | int), PlainSerializer(_format_mode, return_type=str)
]


class Process(common.Model):
    """What runs: a command in the unpacked artifact, or in an empty folder of its own."""

    command: common.Command
    env: common.Environment = {}
    cwd: common.InsideText = ""
    user: common.UserText = ""


class File(common.Model):
    """A small file that is written into the working directory before each start."""

    path: Annotated[common.InsideText, Field(min_length=1)]
    text: common.Text
    mode: Mode = 0o644


def _small(files: list[File]) -> list[File]:
    size = sum(len(file.text.encode()) for file in files)
    if size > limits.FILES_INLINE_BYTES_MAX:
        most = limits.FILES_INLINE_BYTES_MAX // limits.KIB
        raise ValueError(
            f"{size} bytes of text; inline files are at most {most} KiB in all: put them into the artifact"
        )
    return files


class Restart(common.Model):
    """What happens when the process ends: `always`, `on-failure` or `never` start again, after a growing wait."""

    policy: Literal["always", "on-failure", "never"] = "always"
    backoff: Annotated[tuple[float, float], quantities.SpanSeconds(0.1, 86_400.0)] = (
        limits.RESTART_BACKOFF_S_MIN,
        limits.RESTART_BACKOFF_S_MAX,
    )


class Health(common.Model):
    """How to tell that it works: a command that ends with 0, or a GET on the device itself that answers 2xx or 3xx."""

    exec: common.Command | None = None
    http: Annotated[str, AfterValidator(_loopback)] | None = None
    interval: Annotated[float, quantities.Seconds(limits.PROBE_INTERVAL_S_MIN, 86_400.0)] = 10.0
    timeout: Annotated[float, quantities.Seconds(0.1, 600.0)] = limits.PROBE_TIMEOUT_S
    delay: Annotated[float, quantities.Seconds(0.0, 86_400.0)] = 0.0
    failures: Annotated[int, Field(ge=1, le=1_000)] = 3
    successes: Annotated[int, Field(ge=1, le=1_000)] = 1
    restart: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> Health:
        if (self.exec is None) == (self.http is None):
            raise ValueError("write either exec: [COMMAND, …] or http: URL")
        return self


class Stop(common.Model):
    """How it is stopped: asked (SIGTERM), and forced after `grace`."""

    grace: Annotated[float, quantities.Seconds(0.0, limits.STOP_GRACE_S_MAX)] = limits.STOP_GRACE_S


class Logs(common.Model):
    """Logs stay on the device and are fetched on demand; `ship: true` also sends them up as entries."""

    ship: bool = False


class ServiceSpec(common.Model):
    """What is wished for. `artifact` is a folder next to the file, or (stored) its digest."""

    artifact: Annotated[str, Field(min_length=1)] | None = None
    process: Process
    placement: Placement
    restart: Restart = Restart()
    health: Health | None = None
    resources: Resources = Resources()
    files: Annotated[list[File], Field(max_length=256), AfterValidator(_small)] = []
    isolation: Isolation = Isolation()
    stop: Stop = Stop()
    logs: Logs = Logs()
    disconnect: Disconnect = Disconnect()

    @model_validator(mode="after")
    def _reachable(self) -> ServiceSpec:
        if self.isolation.network == "none" and self.health is not None and self.health.http is not None:
            raise ValueError("isolation.network: none and health.http contradict each other: probe it by exec")
        return self


class Service(common.Resource):
    """A service: it runs on."""

    kind: Literal["Service"] = "Service"  # pyright: ignore[reportIncompatibleVariableOverride]
    spec: ServiceSpec
