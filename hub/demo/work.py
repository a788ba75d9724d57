"""What the demo declares: the examples of config/examples on every gateway, and a sign to disagree about."""

from __future__ import annotations

import shutil
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "config" / "examples"
SERVICE, WORKFLOW = "vitals", "vitals-report"
SIGN, OWN = "sign", "frost-watch"
EVERYWHERE = "selector: role=gateway"
_SIGN = """\
apiVersion: skerry/v1
kind: Service
metadata: {{name: {name}}}
spec:
  process: {{command: [sh, -c, 'echo "$SAYS"; exec sleep 3600'], env: {{SAYS: "{says}"}}}}
  placement: {{selector: role=gateway, count: {count}}}
  stop: {{grace: 1s}}
"""


def examples(folder: Path, ledger: Path) -> Path:
    """Write the examples for the demo: on every gateway of every region, accounting for themselves in `ledger`."""
    shutil.copytree(EXAMPLES, folder, dirs_exist_ok=True)
    for path in folder.glob("*.yaml"):
        text = path.read_text().replace('LEDGER: ""', f'LEDGER: "{ledger}"')
        path.write_text(text.replace("selector: site=oslo", EVERYWHERE))
    (folder / "sign.yaml").write_text(_SIGN.format(name=SIGN, says="welcome", count="1 per region"))
    return folder


def sign(path: Path, says: str, *, name: str = SIGN, count: str = "1 per region") -> Path:
    """Write a service that says `says`, in its log, and sleeps."""
    path.write_text(_SIGN.format(name=name, says=says, count=count))
    return path
