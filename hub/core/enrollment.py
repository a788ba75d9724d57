"""How a device gets in, and how it stays in: tokens, certificates, renewals.

A token's use is counted in the same transaction that makes the node a member, when the authority has signed: what fails
before that has cost nothing. A device whose answer was lost asks again with the same name, key and token and gets
another certificate, counted once. What is under way is in memory only: after a crash the device asks again.
"""

from __future__ import annotations

import hmac
import re

import msgspec

from hub.core import inputs
from hub.core.registry import Node, Refusal, Registry, check_labels, check_name
from hub.core.rehome import lodgers
from hub.core.streams import OwnStreams
from protocol import ids, limits
from protocol.effects import Delete, Effects, Now, Put
from protocol.link.flow import bucket
from protocol.snapshot import Snapshot

SPACE = "token"
_DAYS = {"agent": limits.CERTIFICATE_DAYS, "hub": limits.REGION_CA_DAYS}


class Token(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A token that lets devices in, or hubs (`kind`): `uses` in all, `used` so far, until `expires_ms` of the hub's
    clock."""

    id: str
    secret_hash: str
    expires_ms: int
    uses: int
    by: str
    created_ms: int
    used: int = 0
    labels: dict[str, str] = {}
    kind: str = "agent"
    node: str = ""
    """The reserved name that it is for."""


class _Pending(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate that was asked for; no `token`: a renewal, over the link if `request` is 0."""

    node: Node
    token: str = ""
    request: int = 0


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How an IssueCertificate ended, for whom. `request` 0: the node asked over the link; else `renewal` tells a
    member that asked apart from one that enrolls."""

    node: str
    request: int
    renewal: bool = False
    error: str = ""


class Enrollment:
    """Tokens by id, and the certificates that are being issued."""

    def __init__(self, snapshot: Snapshot, registry: Registry, streams: OwnStreams) -> None:
        decoder = msgspec.json.Decoder(Token)
        made = map(decoder.decode, snapshot.spaces.get(SPACE, {}).values())
        self.tokens = {token.id: token for token in sorted(made, key=lambda token: (token.created_ms, token.id))}
        self._registry = registry
        self._streams = streams
        self._pending: dict[str, _Pending] = {}
        self._count = 0
        self._renewals = bucket.per_second(limits.RENEWALS_PER_S)
        self._renewals_of: dict[str, bucket.Bucket] = {}

    # -------------------------------------------------------------------------------------------- tokens

    def create(self, op: inputs.CreateToken, who: str, now: Now, fx: Effects) -> Token:
        """Make a token. Raises Refusal."""
        if not 0 < op.ttl_s <= limits.TOKEN_TTL_S_MAX:
            raise Refusal(f"a token lives up to {limits.TOKEN_TTL_S_MAX / 86_400:.0f} days: --ttl is {op.ttl_s} s", 422)
        if not 0 < op.uses <= limits.TOKEN_USES_MAX:
            raise Refusal(f"a token serves 1 to {limits.TOKEN_USES_MAX} devices: --uses is {op.uses}", 422)
        if op.kind not in _DAYS:
            raise Refusal(f"a token lets in an agent or a hub, not {op.kind[:63]!r}", 422)
        if op.id in self.tokens:
            raise Refusal(f"there is a token {op.id} already")
        self._drop_expired(now, fx)
        if len(self.tokens) >= limits.TOKENS_MAX:
            raise Refusal(f"{limits.TOKENS_MAX} tokens are alive: delete some first")
        token = Token(
            id=op.id,
            secret_hash=op.secret_hash,
            expires_ms=int((now.wall + op.ttl_s) * 1000),
            uses=op.uses,
            by=who,
            created_ms=int(now.wall * 1000),
            labels=check_labels(op.labels),
            kind=op.kind,
            node=op.node,
        )
        self._put(token, fx)
        said = {"who": who, "uses": op.uses, "expires_ms": token.expires_ms, "labels": op.labels, "kind": op.kind}
        self._streams.audit("token.created", op.id, said, now, fx)
        return token

    def delete(self, op: inputs.DeleteToken, who: str, now: Now, fx: Effects) -> None:
        """Withdraw a token. Raises Refusal (404)."""
        if op.id not in self.tokens:
            raise Refusal(f"there is no token {op.id[:80]!r}", 404)
        del self.tokens[op.id]
        fx.store.append(Delete(SPACE, op.id))
        self._streams.audit("token.deleted", op.id, {"who": who}, now, fx)

    def _put(self, token: Token, fx: Effects) -> None:
        self.tokens[token.id] = token
        fx.store.append(Put(SPACE, token.id, msgspec.json.encode(token)))

    def _drop_expired(self, now: Now, fx: Effects) -> None:
        for token in [token for token in self.tokens.values() if token.expires_ms < (now.wall - 86_400) * 1000]:
            del self.tokens[token.id]
            fx.store.append(Delete(SPACE, token.id))

    # -------------------------------------------------------------------------------------------- enrollment

    def ask(self, request: int, op: inputs.Enroll, now: Now, fx: Effects) -> None:
        """A device shows a token: have a certificate made, answered when it is there. Raises Refusal."""
        token = self._valid(op, now)
        node = self._registry.owner(op.key)
        if node is None:
            node = self._newcomer(op, token, now)
        else:
            _check_same(op, node)
            if node.lodger:  # nobody above has spoken: who holds a token of this hub is one of its own (decision 0054)
                own = lodgers.taken_in(node, check_labels({**op.labels, **token.labels}))
                node = msgspec.structs.replace(own, facts=_checked_facts(op.facts))
        if not self._is_counted(node, token):
            self._check_room(token, op.key)
        self._issue(_Pending(node=node, token=token.id, request=request), op.ca or op.csr, fx)

    def _valid(self, op: inputs.Enroll, now: Now) -> Token:
        token = self.tokens.get(op.token)
        if token is None:
            raise Refusal(f"the hub knows no token {op.token[:63]!r}: ask the operator for a new one", 403)
        if not hmac.compare_digest(token.secret_hash.encode(), op.secret_hash.encode()):
            raise Refusal(f"token {token.id} was altered: copy the whole text that `skerry token create` printed", 403)
        if now.wall * 1000 >= token.expires_ms:
            raise Refusal(f"token {token.id} has expired: ask the operator for a new one", 403)
        if token.kind != ("hub" if op.ca else "agent"):
            raise Refusal(_OTHER_KIND[token.kind].format(token.id), 403)
        return token

    def _newcomer(self, op: inputs.Enroll, token: Token, now: Now) -> Node:
        if len(self._registry) >= limits.NODES_MAX:
            raise Refusal(f"this hub has {limits.NODES_MAX} nodes, its most: enroll at another hub", 503)
        if token.node:
            return self._expected(op, token, now)
        return Node(
            name=self._free_name(op),
            key=op.key,
            token=token.id,
            enrolled_ms=int(now.wall * 1000),
            labels=check_labels({**op.labels, **token.labels}),
            facts=_checked_facts(op.facts),
            kind=token.kind,
            ca=op.ca_key,
        )

    def _expected(self, op: inputs.Enroll, token: Token, now: Now) -> Node:
        """Return the node that a token was made for, with the key of who shows it."""
        known = self._registry.find(token.node)
        if known is None or known.reserved != token.id or op.name not in ("", token.node):
            raise Refusal(f"token {token.id} is for a device called {token.node} alone: ask for one of your own", 403)
        return msgspec.structs.replace(
            known,
            key=op.key,
            token=token.id,
            enrolled_ms=int(now.wall * 1000),
            labels=check_labels({**op.labels, **known.labels}),
            facts=_checked_facts(op.facts),
            reserved="",
        )

    def _free_name(self, op: inputs.Enroll) -> str:
        """Return the name that the device asks for; else one made for it, longer when the short one is taken."""
        name = check_name(op.name) if op.name else _default_name(op)
        if op.name in self._registry.path:
            way = "/".join(self._registry.path)
            text = f"{name} is this hub or one above it ({way}), which peers are told apart by; hubs make no loop"
            raise Refusal(f"{text}: choose another with --name")
        if op.ca and name == ids.BROKER:
            raise Refusal(f"no hub is called {name}: it is what a hub's broker is called; choose another with --name")
        if not self._is_taken(name, op.key):
            return name
        longer = f"{name[:54]}-{op.key[:8]}"
        if op.name or self._is_taken(longer, op.key):
            raise Refusal(f"the name {name} is taken by another key: choose another with --name")
        return longer

    def _is_taken(self, name: str, key: str) -> bool:
        under_way = any(one.node.name == name and one.node.key != key for one in self._pending.values())
        return under_way or name in self._registry.path or self._registry.find(name) is not None

    def _is_counted(self, node: Node, token: Token) -> bool:
        known = self._registry.find(node.name)
        return known is not None and known.token == token.id

    def _check_room(self, token: Token, key: str) -> None:
        others = {one.node.key for one in self._pending.values() if one.token == token.id and one.node.key != key}
        if token.used + len(others) >= token.uses:
            raise Refusal(f"token {token.id} is used up ({token.uses} of {token.uses}): ask for a new one", 403)

    # -------------------------------------------------------------------------------------------- certificates

    def renew(self, node: Node, csr: str, fx: Effects) -> None:
        """Have a new certificate made on the node's own key. Raises Refusal."""
        if any(one.node.name == node.name and not one.token for one in self._pending.values()):
            return  # it asks again while the authority works: one answer serves both
        self._issue(_Pending(node=node), csr, fx)

    def renew_apart(self, request: int, op: inputs.Renew, now: Now, fx: Effects) -> bool:
        """A device asks apart from its link (C15). Have a certificate made, answered when it is there, and return True;
        False when there is none to make: it is revoked, or its certificate is good for long. Raises Refusal.

        Who has not the node's key learns nothing, not even whether there is such a node.
        """
        node = self._registry.find(op.node)
        if node is None or _certified(node) != op.key:
            text = "no node of this name is enrolled here with this key"
            raise Refusal(f"{text}: enroll the device again, with a new token (skerry-agent enroll --token TOKEN)", 404)
        own = self._renewals_of.setdefault(node.name, bucket.Bucket(limits.RENEWS_BURST, limits.RENEWS_EVERY_S))
        if not own.take(now.mono):
            raise Refusal(f"{node.name} has asked too often: ask again in {limits.RENEWS_EVERY_S:.0f} s", 429)
        if not self._renewals.take(now.mono):
            raise Refusal(f"more than {limits.RENEWALS_PER_S} renewals a second: try again in a while", 429)
        due_ms = op.until_ms - int((1 - limits.RENEW_AT_SHARE) * _DAYS[node.kind] * 86_400_000)
        if node.revoked_ms or now.wall * 1000 < due_ms:
            return False
        if any(one.node.name == node.name for one in self._pending.values()):
            raise Refusal(f"a certificate for {node.name} is being made: ask again in a moment", 503)
        self._issue(_Pending(node=node, request=request), op.csr, fx)
        return True

    def _issue(self, pending: _Pending, csr: str, fx: Effects) -> None:
        if len(self._pending) >= limits.ENROLLMENTS_PENDING_MAX:
            raise Refusal(f"{limits.ENROLLMENTS_PENDING_MAX} devices enroll right now: try again in a moment", 503)
        self._count += 1
        request = f"certificate-{self._count}"
        self._pending[request] = pending
        node = pending.node
        asked = inputs.IssueCertificate(request=request, node=node.name, csr=csr, key=_certified(node), kind=node.kind)
        fx.act.append(asked)

    def issued(self, input: inputs.CertificateIssued, now: Now, fx: Effects) -> Outcome | None:  # noqa: A002
        """Take the authority's answer: the node is a member from this transaction on. None when nobody waits for it."""
        pending = self._pending.pop(input.request, None)
        if pending is None:
            return None
        name = pending.node.name
        known = self._registry.find(name)
        error = input.error
        if known is not None and known.revoked_ms:
            error = f"{name} was revoked meanwhile: {known.revoked_reason}"
        outcome = Outcome(node=name, request=pending.request, renewal=not pending.token, error=error)
        if error:
            return outcome
        self._count_use(pending, now, fx)
        node = pending.node if known is None or known.reserved or _was_lodger(known, pending) else known
        changed = {"serial": input.serial, "until_ms": input.until_ms, "token": pending.token or node.token}
        self._registry.put(msgspec.structs.replace(node, **changed), fx)
        return outcome

    def _count_use(self, pending: _Pending, now: Now, fx: Effects) -> None:
        """Count one use, in the transaction that makes the node a member, and once for each node."""
        token = self.tokens.get(pending.token)
        if token is not None and not self._is_counted(pending.node, token):
            self._put(msgspec.structs.replace(token, used=token.used + 1), fx)
        said = {"key": pending.node.key, "token": pending.token, "labels": pending.node.labels}
        if pending.token:
            self._streams.audit("node.enrolled", pending.node.name, said, now, fx)
        else:
            self._streams.note("audit", "certificate.renewed", pending.node.name, said, now, fx)


_OTHER_KIND = {
    "agent": "token {} lets devices in, no hub: skerry token create --hub makes one for a hub",
    "hub": "token {} lets a hub in (skerry hub init --parent URL --token T), no device: ask for one without --hub",
}


def _certified(node: Node) -> str:
    """Return the SHA-256 of the key whose certificate this hub issues and renews: of a child hub, that of its CA."""
    return node.ca or node.key


def _check_same(op: inputs.Enroll, node: Node) -> None:
    """A key that is known gets the name it had, or nothing (C5). Raises Refusal."""
    if node.ca != op.ca_key:
        raise Refusal(f"this key is enrolled as {node.name}, which is another kind of node, or has another CA")
    if node.revoked_ms:
        raise Refusal(f"this device's key was revoked as {node.name}: make a new data directory and enroll anew", 403)
    if op.name not in ("", node.name):
        raise Refusal(f"this device's key is enrolled as {node.name}: enroll under that name, or with a new key")


def _was_lodger(known: Node, pending: _Pending) -> bool:
    """Tell whether `known` is a lodger as yet, and `pending` the token that it showed."""
    return bool(known.lodger and pending.token) and known.key == pending.node.key


def _checked_facts(facts: dict[str, str]) -> dict[str, str]:
    if len(facts) > limits.FACTS_MAX or any(len(key) + len(facts[key]) > limits.FACT_BYTES_MAX for key in facts):
        raise Refusal(f"too many or too large facts: {limits.FACTS_MAX} of {limits.FACT_BYTES_MAX} bytes at most", 422)
    return facts


def _default_name(op: inputs.Enroll) -> str:
    """Return a name made of the device's host name, or of the token's id and its key."""
    host = op.facts.get("hostname", "").split(".")[0].lower()
    slug = re.sub(r"[^a-z0-9]+", "-", host, flags=re.ASCII).strip("-")[:63].strip("-")
    return slug if slug and slug != "localhost" else f"{op.token[:40]}-{op.key[:8]}"
