"""`kind: Workflow`: a graph of steps, started by hand or by the clock. Its cross-checks are in graph.py."""

# ruff: noqa: RUF012 (pydantic copies defaults)
from __future__ import annotations

import datetime
import functools
import zoneinfo
from typing import Annotated, Literal, cast

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from protocol import limits
from protocol.spec import common, mistakes, quantities
from protocol.spec.parts.isolation import Isolation, OwnIsolation, OwnResources, Resources
from protocol.spec.placement import Placement

_AN_INSTANT = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)


@functools.cache
def _timezones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def _timezone(value: str) -> str:
    if value not in _timezones():
        hint = mistakes.suggestion(value, sorted(_timezones())) or "; write one like Europe/Oslo or UTC"
        raise ValueError(f"{quantities.shown(value)} is no known time zone{hint}")
    return value


def _cron(value: str) -> str:
    try:
        CronSim(value, _AN_INSTANT)
    except CronSimError as error:
        fields = "minute hour day month weekday (or six, with seconds first)"
        raise ValueError(f'"{value[:80]}": {str(error).lower()}; write five fields: {fields}') from error
    return " ".join(value.split())


def _listed(value: object) -> object:
    return [cast("object", value)] if isinstance(value, dict) else value


class Trigger(common.Model):
    """A schedule. `catch_up` says what firings mean that were missed while the device was off: none, last or all."""

    cron: Annotated[str, AfterValidator(_cron)]
    timezone: Annotated[str, AfterValidator(_timezone)] = "UTC"
    catch_up: Literal["none", "last", "all"] = "none"


class Retry(common.Model):
    """How often a step is tried in all, and the growing wait between."""

    attempts: Annotated[int, Field(ge=1, le=limits.STEP_ATTEMPTS_MAX)] = 1
    backoff: Annotated[tuple[float, float], quantities.SpanSeconds(0.0, 86_400.0)] = (1.0, 60.0)


class When(common.Model):
    """Runs a step only if an earlier one ended so (`is`), or gave such an output (`output`, `equals`)."""

    step: common.NameText
    is_: Annotated[Literal["ok", "failed", "skipped", "any"] | None, Field(alias="is")] = None
    output: common.OutputText | None = None
    equals: common.Text | None = None

    @model_validator(mode="after")
    def _one_way(self) -> When:
        if (self.is_ is None) == (self.output is None) or (self.output is None) != (self.equals is None):
            raise ValueError("write either is: ok|failed|skipped|any, or output: NAME with equals: VALUE")
        return self


class Step(common.Model):
    """One step: `run` a command, or `set` outputs from parameters and earlier outputs.

    `user`, and each word of `isolation` and `resources`: in place of the workflow's.
    """

    name: common.NameText
    needs: list[common.NameText] = []
    run: common.Command | None = None
    set: dict[common.OutputText, common.Text] | None = None
    env: common.Environment = {}
    timeout: Annotated[float, quantities.Seconds(0.1, limits.STEP_TIMEOUT_S_MAX)] = 3_600.0
    retry: Retry = Retry()
    interrupted: Literal["retry", "fail", "ask"] = "fail"
    when: Annotated[list[When], BeforeValidator(_listed)] = []
    user: common.UserText = ""
    isolation: OwnIsolation = None
    resources: OwnResources = None

    @model_validator(mode="after")
    def _one_way(self) -> Step:
        if (self.run is None) == (self.set is None):
            raise ValueError("write either run: [COMMAND, …] or set: {NAME: VALUE}")
        if self.set is not None and (self.user or self.isolation is not None or self.resources is not None):
            raise ValueError("a step that only sets values runs nothing: leave out user, isolation and resources")
        return self


class WorkflowSpec(common.Model):
    """What is wished for. `params` are defaults; a start by hand may give others."""

    placement: Placement
    steps: Annotated[list[Step], Field(min_length=1, max_length=limits.STEPS_MAX)]
    triggers: Annotated[list[Trigger], Field(max_length=64)] = []
    params: dict[common.OutputText, common.Text] = {}
    artifact: Annotated[str, Field(min_length=1)] | None = None
    env: common.Environment = {}
    user: common.UserText = ""
    isolation: Isolation = Isolation()
    resources: Resources = Resources()
    concurrency: Annotated[int, Field(ge=1, le=limits.RUNS_ACTIVE_MAX)] = 1


class Workflow(common.Resource):
    """A workflow: a graph of steps; a run is one execution of it."""

    kind: Literal["Workflow"] = "Workflow"  # pyright: ignore[reportIncompatibleVariableOverride]
    spec: WorkflowSpec
