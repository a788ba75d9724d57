"""Transcripts of the agent's core: what goes in over time, and what comes out, as a person would tell it.

A script is a text of blocks: commands, a line `----`, what they led to. Times are seconds since the script's begin.

    start [reboot] [artifact=DIGEST] [found=INSTANCE:running|lost|CODE ...]    a life of the daemon begins
    online [clock=+10s] · offline REASON                                      the link
    desire, then indented lines:                                              the whole manifest
        service NAME [field=value ...] -- COMMAND
        task ID [field=value ...] -- COMMAND
        workflow NAME [cron=EXPRESSION] [catch_up=...] [timezone=...]
            step NAME [needs=A,B] [field=value ...] -- COMMAND | set KEY=VALUE ...
    launched INSTANCE · ended INSTANCE CODE · no-launch INSTANCE TEXT         what the shell reports
    wait 10s · clock +400d                                                    time passes · the wall clock is set
    USER stop|start|restart|release SERVICE [TEXT] [for=1h]                   a person at the device
    USER run WORKFLOW [PARAM=VALUE ...] · cancel · retry STEP · fail STEP     of the last run
    show                                                                      services and workflows, shortly

`{run}` stands for the last run's id, `run1`, `run2`, ... for all of them in what comes out. To accept what comes out:

    .venv/bin/python -m tests.scripts.agent_script --rewrite [FILE ...]
"""

from __future__ import annotations

import datetime
import pathlib
import re
import shlex
import sys
from collections.abc import Iterator
from typing import Any

import msgspec

from edge_agent.core import inputs
from protocol import documents
from protocol.effects import Action, Effects
from tests.unit.agent.world import World, body

FOLDER = pathlib.Path(__file__).parent / "agent"
_QUIET = ("id", "run", "uid", "boot", "steps", "digest", "version")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_FIELDS: dict[str, type[documents.AnyDocument]] = {
    "service": documents.Assignment,
    "task": documents.Task,
    "workflow": documents.Workflow,
}


def seconds(text: str) -> float:
    """Return a span like `90s`, `5m`, `-400d` in seconds."""
    return float(text[:-1]) * _UNITS[text[-1]]


class Script(World):
    """A device that is played a script, and that notes what it does."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.seen: dict[str, int] = {}
        self.runs: list[str] = []
        super().__init__()
        self.began = self.mono

    def do(self, event: inputs.Input) -> Effects:
        fx = super().do(event)
        at = f"{self.mono - self.began:9.1f}  "
        for stream, rows in self.store.rows.items():
            for entry in rows[self.seen.get(stream, 0) :]:
                if entry.kind == "run.started":
                    self.runs.append(body(entry)["id"])
                self.lines.append(f"{at}entry {stream:5} {entry.kind} {_flat(entry.key, body(entry))}".rstrip())
            self.seen[stream] = len(rows)
        self.lines += [at + text for text in map(_told, fx.act) if text]
        return fx

    def play(self, commands: list[str]) -> str:
        """Play one block; return what it led to."""
        self.lines = []
        for words, below in _grouped(commands):
            self._command(words, below)
        return self._named("\n".join(self.lines))

    def _named(self, text: str) -> str:
        for number, run in enumerate(self.runs, 1):
            text = text.replace(run, f"run{number}")
        return text

    def _command(self, line: str, below: list[str]) -> None:
        words = shlex.split(line.replace("{run}", self.runs[-1] if self.runs else ""))
        match words:
            case ["start", *rest]:
                found = [_found(word[6:]) for word in rest if word.startswith("found=")]
                artifacts = tuple(word[9:] for word in rest if word.startswith("artifact="))
                self.start(*found, artifacts=artifacts, reboot="reboot" in rest)
            case ["online", *rest]:
                self.online(offset_s=seconds(rest[0][6:]) if rest else 0.0)
            case ["offline", *rest]:
                self.offline(" ".join(rest))
            case ["desire"]:
                self.desire(*_documents(below, self.wall))
            case ["launched", instance]:
                self.do(inputs.Launched(instance=instance, pid=77))
            case ["ended", instance, code]:
                self.do(inputs.Ended(instance=instance, exit=_exit(code)))
            case ["no-launch", instance, error]:
                self.do(inputs.LaunchFailed(instance=instance, error=error))
            case ["wait", span]:
                self.wait(seconds(span))
            case ["clock", span]:
                self.wall += seconds(span)
            case ["show"]:
                self._show()
            case [user, *rest]:
                self._ask(user, rest)
            case _:
                raise AssertionError(line)

    def _ask(self, user: str, words: list[str]) -> None:
        run = self.runs[-1] if self.runs else ""
        until_ms = next((int((self.wall + seconds(word[4:])) * 1000) for word in words if word.startswith("for=")), 0)
        reason = " ".join(word for word in words[2:] if not word.startswith("for="))
        match words:
            case ["stop", service, *_]:
                command: inputs.LocalCommand = inputs.LocalStop(service=service, reason=reason, until_ms=until_ms)
            case ["start", service, *_]:
                command = inputs.LocalStart(service=service, reason=reason, until_ms=until_ms)
            case ["restart", service]:
                command = inputs.LocalRestart(service=service)
            case ["release", service]:
                command = inputs.LocalRelease(service=service)
            case ["run", workflow, *params]:
                given = dict(param.split("=", 1) for param in params)
                command = inputs.LocalWorkflowStart(workflow=workflow, params=given)
            case ["cancel"]:
                command = inputs.LocalRunCancel(run=run)
            case ["retry" | "fail" as answer, step]:
                command = inputs.LocalRunAnswer(run=run, step=step, answer=answer)
            case ["why", service]:
                command = inputs.LocalWhy(service=service)
            case _:
                raise AssertionError(words)
        self.do(inputs.Local(request=1, user=user, uid=1001, command=command))

    def _show(self) -> None:
        view = self.core.status(self.now())
        for name, service in view.services.items():
            notes = [service.state, f"restarts {service.restarts}", service.last_exit, service.reason]
            notes += [f"override {service.override.decision} by {service.override.user}"] if service.override else []
            self.lines.append(f"           service {name}: {', '.join(note for note in notes if note)}")
        for name, flow in view.workflows.items():
            last = f"last {flow.last.id} {flow.last.state}" if flow.last else "no run yet"
            upcoming = datetime.datetime.fromtimestamp(flow.next_ms / 1000, datetime.UTC)
            nexts = f", next {upcoming:%Y-%m-%d %H:%M:%S}" if flow.next_ms else ""
            self.lines.append(f"           workflow {name}: {last}, {flow.running} running{nexts}")
        self.lines += [f"           condition {one.what}: {one.text}" for one in view.conditions]


def _told(act: Action) -> str:
    match act:
        case inputs.Launch():
            return f"launch {act.instance}: {shlex.join(act.process.command)}"
        case inputs.Stop():
            return f"stop {act.instance}"
        case inputs.Forget():
            return f"forget {act.instance}"
        case inputs.Fetch():
            return f"fetch {act.digest}"
        case inputs.LocalReply(data=data, error=error):
            reply: Any = msgspec.json.decode(data)
            texts: list[str] = [error] if error else reply.get("reasons") or [reply["text"]]
            return "reply " + "; ".join(texts)
        case _:
            return ""  # the link's own


def _flat(key: str, fields: dict[str, Any]) -> str:
    told = [f"{name}={value}" for name, value in fields.items() if name not in _QUIET]
    return " ".join([key, *told])


def _exit(text: str) -> inputs.Exit:
    if text == "lost":
        return inputs.Exit()
    return inputs.Exit(signal=int(text[3:])) if text.startswith("sig") else inputs.Exit(code=int(text))


def _found(text: str) -> inputs.Found:
    instance, _, how = text.partition(":")
    return inputs.Found(instance=instance, pid=77, exit=None if how == "running" else _exit(how))


# ------------------------------------------------------------------------------------------------ documents


def _documents(lines: list[str], wall: float) -> list[documents.AnyDocument]:
    found: list[dict[str, Any]] = []
    for line in lines:
        fields = _fields(shlex.split(line), wall)
        if fields["is"] == "step":
            found[-1].setdefault("steps", []).append(fields)
        else:
            found.append(fields)
    return [msgspec.convert(fields, _FIELDS[fields.pop("is")], strict=False) for fields in found]


def _fields(words: list[str], wall: float) -> dict[str, Any]:
    """Return a document's line as the fields of its struct."""
    kind, name, *rest = words
    command = rest[rest.index("--") + 1 :] if "--" in rest else []
    rest = rest[: rest.index("--")] if "--" in rest else rest
    fields: dict[str, Any] = {"is": kind}
    fields["id" if kind == "task" else "name" if kind == "step" else kind] = name
    given = dict(word.split("=", 1) for word in rest if "=" in word)
    if "set" in rest:
        fields["set"] = {
            key: given.pop(key) for key in list(given) if rest.index("set") < rest.index(f"{key}={given[key]}")
        }
    if "cron" in given:
        cron = {key: given.pop(key) for key in ("cron", "catch_up", "timezone") if key in given}
        fields["triggers"] = [cron]
    for key, value in given.items():
        fields["deadline_ms" if key == "deadline" else key] = _value(key, value, wall)
    if command:
        fields |= {"process": {"command": command}} if kind == "service" else {}
        fields |= {"run": command} if kind == "step" else {"command": command} if kind == "task" else {}
    return fields


def _value(key: str, value: str, wall: float) -> Any:
    match key:
        case "needs":
            return value.split(",")
        case "backoff":
            low, _, high = value.partition("..")
            return {"min_s": low, "max_s": high}
        case "retry":
            return {"attempts": value, "min_s": 1, "max_s": 8}
        case "deadline":
            return int((wall + seconds(value)) * 1000)
        case _:
            return value


# ------------------------------------------------------------------------------------------------ scripts


def _grouped(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield each command with the indented lines below it."""
    group: list[str] = []
    for line in lines:
        if line.startswith(" "):
            group.append(line.strip())
        else:
            if group:
                yield group[0], group[1:]
            group = [line]
    if group:
        yield group[0], group[1:]


def replay(text: str) -> str:
    """Return the script as it comes out now."""
    script, out = Script(), list[str]()
    for block in re.split(r"\n{2,}", text.strip()):
        before = block.split("\n----", 1)[0].split("\n")
        comments = [line for line in before if line.startswith("#")]
        commands = [line for line in before if not line.startswith("#")]
        if not commands:
            out.append("\n".join(comments))
            continue
        told = script.play(commands)
        out.append("\n".join([*comments, *commands, "----", *([told] if told else [])]))
    return "\n\n".join(out) + "\n"


def main() -> None:
    """Rewrite the scripts named, or all."""
    names = sys.argv[2:] if sys.argv[1:2] == ["--rewrite"] else sys.exit(__doc__)
    for path in [pathlib.Path(name) for name in names] or sorted(FOLDER.glob("*.txt")):
        path.write_text(replay(path.read_text()))


if __name__ == "__main__":
    main()
