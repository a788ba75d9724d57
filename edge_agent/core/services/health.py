"""When to probe a service, and when its probes' answers make it healthy or not."""

from __future__ import annotations

from protocol import documents, limits


class Health:
    """The probe of one running instance. `healthy` is None until enough answers came."""

    def __init__(self, probe: documents.Probe, healthy: bool | None, mono: float) -> None:
        self.probe = probe
        self.healthy = healthy
        self.text = ""
        """What the last failing probe said."""
        self.due = mono + probe.delay_s
        self._oks = 0
        self._failures = 0

    @property
    def interval_s(self) -> float:
        """Seconds between two probes."""
        return max(self.probe.interval_s, limits.PROBE_INTERVAL_S_MIN)

    def begin(self, mono: float) -> None:
        """A probe starts. Should its answer get lost, the next one follows nevertheless."""
        self.due = mono + max(0.0, self.probe.timeout_s) + self.interval_s

    def answered(self, ok: bool, text: str, mono: float) -> bool:
        """Take an answer; return whether `healthy` changed."""
        self.due = mono + self.interval_s
        self._oks = self._oks + 1 if ok else 0
        self._failures = 0 if ok else self._failures + 1
        if not ok:
            self.text = text
        before = self.healthy
        if self._oks >= self.probe.successes:
            self.healthy = True
        if self._failures >= self.probe.failures:
            self.healthy = False
        return self.healthy is not before
