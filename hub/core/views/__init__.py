"""What people see of the fleet: pure functions over the core, as the JSON values of the API.

Nothing here changes anything. Nothing says only "away": every view of a node says since when, and as of when the rest
was known (INVARIANTS B), and through which hub if this one does not hear it itself. Times are milliseconds of the hub's
clock unless they stand inside a report of a device; of a node below another hub, that hub's.
"""

from hub.core.views.above import hub
from hub.core.views.everywhere import nodes_of, on
from hub.core.views.nodes import away_text, named, node, nodes, regions
from hub.core.views.policies import one as policy
from hub.core.views.policies import policies
from hub.core.views.resources import resource, resources, service, services, workflow, workflows
from hub.core.views.upgrades import one as upgrade
from hub.core.views.upgrades import upgrades
from hub.core.views.work import run, runs, task_group, token, tokens
from hub.core.views.worst import Worst

__all__ = (
    "Worst",
    "away_text",
    "hub",
    "named",
    "node",
    "nodes",
    "nodes_of",
    "on",
    "policies",
    "policy",
    "regions",
    "resource",
    "resources",
    "run",
    "runs",
    "service",
    "services",
    "task_group",
    "token",
    "tokens",
    "upgrade",
    "upgrades",
    "workflow",
    "workflows",
)
