"""The names that cross a link, and the one grammar they obey.

Every id is checked here before it meets a path, a topic or an ACL (INVARIANTS C6: a name from a peer never becomes
a path unchecked). The grammar is deliberately narrow: lower-case letters, digits and inner hyphens, 1 to 63 long, so
that an id is at once a DNS label, an MQTT client id, a certificate common name, one topic level and a file name.
"""

import re
from typing import NewType

from protocol import limits
from protocol.errors import BadId

NodeId = NewType("NodeId", str)
"""Names a hub or an agent; equals its MQTT client id and its certificate's common name."""

Name = NewType("Name", str)
"""Names a service, a workflow, a step or a policy."""

Digest = NewType("Digest", str)
"""`sha256:` and 64 lower-case hex digits: names bytes by their content."""

Epoch = NewType("Epoch", str)
"""16 lower-case hex digits: names one life of a journal. It has no order."""

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_EPOCH = re.compile(r"[0-9a-f]{16}", re.ASCII)

DNS_SUFFIX = ".skerry"
"""A client checks who a hub is, not its address: it asks TLS for the name of the hub's domain, which is `ID.skerry` of
a root, and of any other hub its id before its parent's."""

BROKER = "broker"
"""The label of an external broker within the domain of its hub: no child hub is called so."""

NAME_RULE = "1 to 63 lower-case letters, digits and inner hyphens"


def node_id(text: str) -> NodeId:
    """Return `text` as a NodeId. Raises BadId when it breaks the grammar."""
    return NodeId(_checked(_NAME, text, "node id", NAME_RULE))


def address(text: str) -> str:
    """Return `text` as the address of a node below a hub: node ids from the hub's own child down, joined by `/`.

    Raises BadId when it breaks the grammar, or is deeper than limits.TIERS_MAX.
    """
    levels = text.split("/")
    if len(levels) > limits.TIERS_MAX:
        raise BadId(f"{text[:80]!r} is no address: it names more than {limits.TIERS_MAX} tiers")
    for level in levels:
        _checked(_NAME, level, "part of an address", NAME_RULE)
    return text


def scope(text: str) -> str:
    """Return `text` as the scope of a hub: node ids from the hub up to its root, joined by dots, and DNS_SUFFIX.

    Raises BadId when it breaks the grammar, or is longer than limits.SCOPE_CHARS_MAX.
    """
    levels = text[: limits.SCOPE_CHARS_MAX + 1].removesuffix(DNS_SUFFIX).split(".")
    if not text.endswith(DNS_SUFFIX) or len(text) > limits.SCOPE_CHARS_MAX or not all(map(is_name, levels)):
        raise BadId(f"{text[:80]!r} is not the scope of a hub: write ID.skerry, or ID before the scope above it")
    return text


def name(text: str) -> Name:
    """Return `text` as a Name. Raises BadId when it breaks the grammar."""
    return Name(_checked(_NAME, text, "name", NAME_RULE))


def digest(text: str) -> Digest:
    """Return `text` as a Digest. Raises BadId when it breaks the grammar."""
    return Digest(_checked(_DIGEST, text, "digest", "sha256: and 64 hex digits"))


def epoch(text: str) -> Epoch:
    """Return `text` as an Epoch. Raises BadId when it breaks the grammar."""
    return Epoch(_checked(_EPOCH, text, "epoch", "16 hex digits"))


def is_digest(text: str) -> bool:
    """Tell whether `text` obeys the grammar of a digest."""
    return _DIGEST.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Tell whether `text` obeys the grammar of names and node ids."""
    return _NAME.fullmatch(text) is not None


def _checked(pattern: re.Pattern[str], text: str, what: str, rule: str) -> str:
    if pattern.fullmatch(text) is None:
        raise BadId(f"{text[:80]!r} is not a {what}: write {rule}")
    return text
