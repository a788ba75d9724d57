"""What a process takes."""

from __future__ import annotations

from pathlib import Path


def peak_rss_mb(pid: int) -> float:
    """Return the largest Rss that a process that lives has ever had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024
