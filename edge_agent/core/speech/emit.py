"""What workloads say: checked, prefixed, appended in bulk. The hottest path of the agent."""

from __future__ import annotations

from edge_agent.core import inputs
from edge_agent.core.context import Context
from edge_agent.core.services.roster import Roster
from edge_agent.core.speech import bodies
from edge_agent.core.speech.patience import Patience
from edge_agent.core.speech.said import Said
from edge_agent.core.tasks import Tasks
from edge_agent.core.workflows.runs import Runs
from protocol import limits
from protocol.effects import Effects, Now
from protocol.errors import Refused
from protocol.snapshot import Snapshot

_STREAMS = ("state", "audit", "metrics", "logs")
_PREFIX = "app."
_PLAIN_BYTES = 2 * limits.JSON_DEPTH_MAX  # no body of so few bytes nests too deep


class Emit:
    """Takes batches of items; a batch is kept whole or refused whole."""

    def __init__(self, snapshot: Snapshot, ctx: Context, roster: Roster, runs: Runs, tasks: Tasks) -> None:
        self._ctx = ctx
        self._roster = roster
        self._runs = runs
        self._tasks = tasks
        self._recent: dict[str, str] = {}
        """Keys of instances that spoke in this life: what one said before its end may arrive after it."""
        self._patience = Patience()
        self._said = Said(snapshot, self._is_here)

    def start(self, found: list[inputs.Found], fx: Effects) -> None:
        """Begin a life with what was found on this device."""
        self._said.start(found, fx)

    def emitted(self, got: inputs.Emitted, now: Now, fx: Effects) -> bool:
        """Append a batch; EmitAck is performed after its commit, or says what is wrong with it.

        Return whether a step told outputs, which its run must keep in the same transaction.
        """
        try:
            fresh, last = self._said.fresh(got.instance, got.items)
            rows, has_outputs = self._rows(got.instance, fresh)
        except Refused as error:
            self._answer(now, fx)  # answers come in the order of what was said
            fx.act.append(inputs.EmitAck(connection=got.connection, count=0, error=str(error)))
            return False
        for stream, items in rows.items():
            self._ctx.child.append(stream, items, now, fx, hold=True)
        if last:
            self._said.note(got.instance, last, fx)
        can_wait = self._patience.take(got.connection, len(got.items), now.mono)
        if can_wait and _is_patient(got.instance, rows):
            fx.lazy = True
        else:
            self._answer(now, fx)
        return has_outputs

    def tick(self, now: Now, fx: Effects) -> None:
        """Answer those who waited long enough."""
        due = self._patience.due()
        if due is not None and now.mono >= due:
            self._answer(now, fx)

    def next_wake(self) -> float | None:
        """Return when (mono) `tick` is due, or None."""
        return self._patience.due()

    def _answer(self, now: Now, fx: Effects) -> None:
        for connection, count in self._patience.answer(now.mono):
            fx.act.append(inputs.EmitAck(connection=connection, count=count))
        self._ctx.child.pump(now, fx)

    def _is_here(self, instance: str) -> bool:
        return bool(self._roster.of(instance) or self._runs.of(instance) or self._tasks.of(instance))

    def _rows(self, instance: str, items: list[inputs.Item]) -> tuple[dict[str, list[tuple[str, str, bytes]]], bool]:
        default_key = self._key(instance)
        rows: dict[str, list[tuple[str, str, bytes]]] = {}
        outputs: dict[str, str] = {}
        for item in items:
            body, kind, key = bytes(item.body), _PREFIX + item.kind, item.key or default_key
            if len(body) > limits.ENTRY_BYTES_MAX or len(kind) + len(key) > limits.ENTRY_NAME_BYTES_MAX:
                raise Refused(bodies.too_large(len(body)))
            if len(body) > _PLAIN_BYTES or not body.isascii():
                bodies.check(body)
            if item.to in rows:
                rows[item.to].append((kind, key, body))
            elif item.to == "outputs":
                outputs |= bodies.outputs_of(body)
            else:
                self._check_stream(instance, item.to)
                rows[item.to] = [(kind, key, body)]
        if outputs:
            self._keep_outputs(instance, outputs)
        return rows, bool(outputs)

    def _key(self, instance: str) -> str:
        """Return the service, run or task that `instance` works for. Raises Refused when it is unknown."""
        service = self._roster.of(instance)
        run = self._runs.of(instance)
        key = service.name if service else run[0].record.id if run else self._tasks.of(instance)
        if key:
            self._recent[instance] = key
            if len(self._recent) > limits.EMIT_RECENT_MAX:
                del self._recent[next(iter(self._recent))]
        elif instance not in self._recent:
            raise Refused(f"{instance[:80]!r} does not run on this device: nothing was kept")
        return self._recent[instance]

    def _check_stream(self, instance: str, stream: str) -> None:
        if stream not in _STREAMS:
            raise Refused(f"{stream[:20]!r} is no stream: write one of {', '.join(_STREAMS)} or outputs")
        service = self._roster.of(instance)
        if stream == "logs" and not (service and service.force and service.force.ship_logs):
            raise Refused("logs stay on the device unless the service says ship_logs: nothing was kept")

    def _keep_outputs(self, instance: str, outputs: dict[str, str]) -> None:
        run = self._runs.of(instance)
        if run is None:
            raise Refused("only a running step of a workflow has outputs: nothing was kept")
        run[0].emitted(run[1], outputs)


def _is_patient(instance: str, rows: dict[str, list[tuple[str, str, bytes]]]) -> bool:
    """Tell whether a batch may wait: a service's, of which nothing is for the audit."""
    return instance.startswith("s-") and "audit" not in rows
