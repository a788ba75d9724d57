"""What a hub tells its parent of all that is below it: a Brief of each node, in rosters, and the sum, in its Status.

An agent's Status holds a protocol.status.Report, a hub's a RegionReport. They stand apart from protocol.status because
an agent knows neither. What is read is bounded, for the tiers above add it up and show it (INVARIANTS C10).
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from protocol import limits
from protocol.documents import Haven
from protocol.messages import Address, Count, Moment, Word
from protocol.status import Condition, HoldReport, OverrideReport


class ServiceBrief(msgspec.Struct, frozen=True, array_like=True):
    """One service of a node, as the tiers above know it. `digest`: the first limits.BRIEF_DIGEST_CHARS of its hex."""

    state: Word
    digest: Word = ""
    healthy: bool | None = None
    restarts: Count = 0


class Brief(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One node below a hub, as that hub last knew it: what a Roster carries of it. Milliseconds are that hub's clock's.

    `state` is `online`, `away`, `revoked` or `quarantined`: that of the node's own link to the hub just above it. A hub
    further up whose way to the node is cut shows `unheard` instead: nobody whom it hears can speak for the node now, so
    what stands here is what was last known, through which hub, and as of when.
    """

    kind: Word = "agent"
    state: Word = "away"
    since_ms: Moment = 0
    contact_ms: Moment = 0
    as_of_ms: Moment = 0
    """When it last said how it is, 0: never; `contact_ms`: anything. A Brief new in times alone is sent on seldom."""
    labels: dict[Word, Word] = {}
    version: Word = ""
    services: dict[Word, ServiceBrief] = {}
    """At most limits.BRIEF_SERVICES_MAX, those that do not do what they should before the others."""
    more_services: Count = 0
    alarm: Word = ""  # the first one, cut to limits.BRIEF_TEXT_CHARS, and how many more there are
    condition: Word = ""  # the same of what the node itself says that a person should know
    overrides: dict[Word, OverrideReport] = {}
    hold: HoldReport | None = None
    lost: Count = 0  # rows declared lost, of all its streams
    asked: Count = 0
    """The generation that the hub above it asks for, and `held`, the one that the node holds."""
    held: Count = 0
    cordoned: bool = False
    key: Word = ""  # the SHA-256 (hex) of the one that it was enrolled with
    lodger: Word = ""
    """The hub that it came from by that one's grant, while nobody above has said that it may stay."""
    moves: dict[Word, Count] = {}  # the highest number of the Moves that its hub knows of it, by who said them
    haven: Haven | None = None  # of a hub: where it listens
    epoch: Word = ""  # of its `state` stream; (node id, epoch) is the same node wherever it stands


class Tally(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a resource comes to in a subtree: counts of nodes. A tier adds up what the tiers below it say.

    `asked`: how many are to have it, as far as it is known there (a count, or all that match). `placed`: are asked to
    have it. `current`: have what is asked now. `away`: placed, and not heard now, so that what is counted of them is
    what was last known. `digest`: the beginning of the digest of what is asked for, in hex (limits.BRIEF_DIGEST_CHARS);
    empty when parts of the subtree differ. `owner`: the id of the hub where it was declared, or the path as that hub
    was told; `generation`: that of the owner's document, the lowest one that a part of the subtree has seen; 0: none.
    """

    asked: Count = 0
    placed: Count = 0
    current: Count = 0
    running: Count = 0
    healthy: Count = 0
    unhealthy: Count = 0
    away: Count = 0
    digest: Word = ""
    owner: Address = ""
    generation: Count = 0


class Offender(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A node that a person should look at. `at` is its address below the hub that says so; `rank`: 0 is the worst."""

    at: Address
    what: Word
    text: Word = ""
    since_ms: Moment = 0
    rank: Count = 0


class OverrideMark(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody below decided otherwise than a document says. `at`: the node's address; empty: the hub itself.

    `what` is the resource: `service/NAME`. `until_ms` 0: until it is released.
    """

    at: Address = ""
    what: Word
    decision: Word
    user: Word
    reason: Word = ""
    since_ms: Moment = 0
    until_ms: Moment = 0


class RegionReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a hub says of itself and of all that is below it: the body of its Status.

    `nodes`: how many agents are in which state (`online`, `away`, `revoked`, `quarantined`, `unheard`), at any depth;
    `hubs`: how many hubs. `tallies` by resource: `service/NAME`, and `service/NAME@OWNER` of another that was declared
    further down under the same name. `worst`: the worst of `offenders`, first, and `marks`: the newest of `overrides`.
    `lost`: rows declared lost by this hub, by stream, and `conditions`: what a person should know of it; both read as
    those of a Report. `haven`: where it listens, for nodes that are to turn to it.
    """

    nodes: Annotated[dict[Word, Count], msgspec.Meta(max_length=limits.STATES_MAX)] = {}
    hubs: Annotated[dict[Word, Count], msgspec.Meta(max_length=limits.STATES_MAX)] = {}
    tallies: Annotated[dict[str, Tally], msgspec.Meta(max_length=limits.TALLIES_MAX)] = {}
    worst: Annotated[list[Offender], msgspec.Meta(max_length=limits.OFFENDERS_MAX)] = []
    offenders: Count = 0
    marks: Annotated[list[OverrideMark], msgspec.Meta(max_length=limits.OVERRIDE_MARKS_MAX)] = []
    overrides: Count = 0
    conditions: list[Condition] = []
    lost: dict[Word, Count] = {}
    haven: Haven | None = None


_encoder = msgspec.json.Encoder(order="deterministic")
_brief = msgspec.json.Decoder(Brief)
_region = msgspec.json.Decoder(RegionReport)


def encode(told: Brief | RegionReport) -> bytes:
    """Return `told` as JSON bytes."""
    return _encoder.encode(told)


def decode(raw: bytes) -> Brief:
    """Return the Brief in `raw`. Raises msgspec.DecodeError or ValueError when it is none."""
    return _brief.decode(raw)


def decode_region(raw: bytes) -> RegionReport:
    """Return the RegionReport in `raw`. Raises msgspec.DecodeError or ValueError when it is none."""
    return _region.decode(raw)
