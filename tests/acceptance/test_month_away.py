"""A device with a quota of 64 MB, away for 30 days: 127 million metrics on real files (some minutes).

Not recorded: there is no daemon, and a trace would hold every metric; all is counted at both ends.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.support import month
from tests.support.absence import Absence

DAYS = int(os.environ.get("SKERRY_DAYS_AWAY", "30"))
QUOTA = 64_000_000


async def test_a_month_away_stays_within_64_mb_keeps_audit_and_state_and_declares_its_metrics_to_the_row(
    tmp_path: Path,
) -> None:
    async with Absence(tmp_path, QUOTA) as device:
        await month.go_by(device, DAYS * 24 * 60)
        await device.come_back()
        month.check(device)
        print(f"made {dict(device.made)}, came {dict(device.got)}, lost {device.parent.view('gw-1').lost}")
        print(f"at most {device.bytes_most:,} bytes on disk: {dict(device.file_most)}")
