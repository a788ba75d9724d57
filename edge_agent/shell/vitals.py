"""How the device is. The one file that knows psutil; where a figure cannot be read, it is left out, never guessed."""

from __future__ import annotations

import os
import platform as machine
import time
from pathlib import Path

import psutil

from protocol import status
from protocol.aio.upkeep import aside

_CPU_SENSORS = ("cpu_thermal", "coretemp", "k10temp", "soc_thermal", "cpu-thermal", "zenpower", "acpitz")

_STORES = ("journal.db", "telemetry.db")


class Meter:
    """Measures; the cpu's share is over the time since the last sample (the first one is since the boot)."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._self = psutil.Process()
        psutil.cpu_percent(interval=None)

    def sample(self) -> status.Vitals:
        """Return the vitals of now. Takes about a millisecond."""
        memory = psutil.virtual_memory()
        disk = psutil.disk_usage(str(self._data))
        return status.Vitals(
            time_ms=int(time.time() * 1000),
            cpu=round(psutil.cpu_percent(interval=None) / 100, 4),
            memory_used=memory.total - memory.available,
            memory_total=memory.total,
            disk_used=disk.used,
            disk_total=disk.total,
            uptime_s=round(time.clock_gettime(time.CLOCK_BOOTTIME), 1),
            temperature_c=_temperature(),
            rss=self._self.memory_info().rss,
        )

    def set_aside(self) -> list[str]:
        """Return the names of the damaged stores that are kept here; none when the disk cannot tell."""
        try:
            return [one.name for store in _STORES for one in aside.damaged(self._data / store)]
        except OSError:
            return []


def _temperature() -> float | None:
    try:
        sensors = psutil.sensors_temperatures()
    except (AttributeError, OSError, RuntimeError):
        return None
    known = [name for name in _CPU_SENSORS if sensors.get(name)] or [name for name in sensors if sensors[name]]
    return round(sensors[known[0]][0].current, 1) if known else None


def platform() -> dict[str, str]:
    """Return what this device is, in a few words that do not change while it runs."""
    return {
        "os": _os_name(),
        "kernel": machine.release(),
        "arch": machine.machine(),
        "cpus": str(os.cpu_count() or 1),
        "python": machine.python_version(),
    }


def _os_name() -> str:
    try:
        return machine.freedesktop_os_release().get("PRETTY_NAME", machine.system())
    except OSError:
        return machine.system()
