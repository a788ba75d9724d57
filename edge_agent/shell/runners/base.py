"""What every runner offers (tests/contract/shell/test_runner.py holds it to this)."""

from __future__ import annotations

from typing import Protocol

from edge_agent.core import inputs


class Runner(Protocol):
    """Starts workloads that outlive the agent. Never raises: what goes wrong is reported as an input.

    Each method returns at once; `report` (given at construction) is called with Launched, LaunchFailed and Ended.
    """

    def discover(self) -> list[inputs.Found]:
        """Return all that is known here, ended or running. At the start of a life (of the agent, or of its core)."""
        ...

    def watch(self) -> None:
        """Start to report about what `discover` adopted. Called once the core has its `Started`."""
        ...

    def launch(self, action: inputs.Launch) -> None:
        """Start `action.instance`, or report what is known of it: it never runs twice."""
        ...

    def extend(self, action: inputs.Extend) -> None:
        """Let `action.instance` run until then, and no longer, whether or not an agent lives. Harmless when it is gone.

        What was launched without a lease gets one.
        """
        ...

    def stop(self, action: inputs.Stop) -> None:
        """SIGTERM to all its processes, SIGKILL after the grace; Ended follows. Harmless when it is gone."""
        ...

    def forget(self, instance: str) -> None:
        """Drop what is kept of an ended instance. Harmless when it is gone, refused while it runs."""
        ...

    def close(self) -> None:
        """Let go of everything; the workloads run on."""
        ...
