"""The steps of vitals-report. Each tells its outputs, or its result, through SKERRY_SOCKET."""

import json
import os
import socket
import sys
import tempfile
from pathlib import Path

NODE = os.environ.get("SKERRY_NODE", "here")


def tell(item: dict) -> None:
    """Hand one item to the agent and wait until it is kept."""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(10.0)
        link.connect(os.environ["SKERRY_SOCKET"])
        link.sendall(json.dumps(item).encode() + b"\n")
        answer = link.makefile().readline()
    if '"acked"' not in answer:
        raise SystemExit(f"the agent did not keep it: {answer.strip() or 'it hung up'}")


def account() -> None:
    """Write down that this step ran, if the demo asks for it."""
    if os.environ.get("LEDGER"):
        with (Path(os.environ["LEDGER"]) / f"{NODE}.steps").open("a") as file:
            file.write(f"{os.environ['SKERRY_RUN']} {os.environ['SKERRY_STEP']}\n")
            file.flush()
            os.fsync(file.fileno())


def collect(window: str) -> None:
    """Look at the last samples that the service left."""
    path = Path(tempfile.gettempdir()) / f"skerry-vitals-{os.getuid()}" / f"{NODE}.jsonl"
    lines = path.read_text().splitlines()[-int(window) :] if path.exists() else []
    samples = [json.loads(line) for line in lines]
    if not samples:
        raise SystemExit(f"there is no sample in {path} yet: does the service vitals run here?")
    cpu = sum(one["cpu"] for one in samples) / len(samples)
    tell({"to": "outputs", "body": {"count": str(len(samples)), "cpu": f"{cpu:.3f}"}})


def judge(cpu: str, load_max: str) -> None:
    """Say whether the machine is busy."""
    tell({"to": "outputs", "body": {"verdict": "busy" if float(cpu) > float(load_max) else "calm"}})


def publish(title: str, verdict: str) -> None:
    """Tell the verdict to all."""
    tell({"kind": "report", "body": {"text": f"{title}: {verdict}"}})
    print(f"{title}: {verdict}")


if __name__ == "__main__":
    account()
    {"collect": collect, "judge": judge, "publish": publish}[sys.argv[1]](*sys.argv[2:])
