"""Documents that the tests share, and the short way to load one."""

from protocol.spec import load
from protocol.spec.mistakes import Mistake

SERVICE = """\
apiVersion: skerry/v1
kind: Service
metadata: {name: line-vision, labels: {team: qa}}
spec:
  artifact: ./line-vision
  process: {command: [python3, -u, watch.py], env: {RATE: "5"}, user: nobody}
  placement: {selector: "site=oslo,gpu", count: all}
  restart: {policy: always, backoff: 1s..5m}
  health: {exec: [./probe], interval: 10s, failures: 3}
  resources: {memory: 256Mi, cpu: 0.5}
"""

WORKFLOW = """\
apiVersion: skerry/v1
kind: Workflow
metadata: {name: shift-report}
spec:
  placement: {selector: "site=oslo", count: all}
  triggers: [{cron: "0 6,14,22 * * *", timezone: Europe/Oslo}]
  artifact: ./shift-report
  steps:
    - {name: collect, run: [./collect.sh], timeout: 2m, retry: {attempts: 3, backoff: 5s..1m}}
    - {name: summarise, needs: [collect], run: [python3, summarise.py]}
    - {name: publish, needs: [summarise], run: [./publish], interrupted: retry}
"""


def loaded(*texts: str, artifacts: dict[str, str] | None = None) -> load.Loaded:
    """Load `texts` as the files a.yaml, b.yaml, ..."""
    sources = [load.Source(name=f"{letter}.yaml", text=text) for letter, text in zip("abcdef", texts, strict=False)]
    return load.load(sources, artifacts)


def mistakes(*texts: str) -> list[Mistake]:
    """Return the mistakes of `texts`, of which there must be some."""
    found = loaded(*texts)
    assert found.mistakes
    return found.mistakes


def service(spec: str) -> str:
    """Return a service whose spec is one flow mapping, in line 4."""
    return f"apiVersion: skerry/v1\nkind: Service\nmetadata: {{name: x}}\nspec: {spec}\n"


def workflow(steps: str, more: str = "") -> str:
    """Return a workflow whose steps are one flow list, in line 6; `more` are other fields of its spec."""
    head = "apiVersion: skerry/v1\nkind: Workflow\nmetadata: {name: w}\n"
    return f"{head}spec:\n  placement: {{selector: a}}\n  steps: {steps}\n{more}"
