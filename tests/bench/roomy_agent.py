"""`skerry-agent`, whose `state` may grow to 1 GiB: a million entries of 200 bytes are more than a device keeps."""

from __future__ import annotations

from edge_agent.cli.main import main
from protocol import limits

limits.QUOTA_BYTES["state"] = 1_024 * limits.MIB

if __name__ == "__main__":
    main()
