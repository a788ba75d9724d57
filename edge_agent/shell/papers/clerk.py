"""The daemon's way to its certificates: what is noted is used, what is new goes to the notary, a short-lived helper.

A Welcome whose signing chain is new waits until the chain is proven, and what the parent says next waits behind it, so
that the core, which does no I/O, finds every chain it meets proven or refused (INVARIANTS C3).
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from pathlib import Path

from edge_agent.core import inputs
from edge_agent.shell import identity
from edge_agent.shell.papers import errands, notes
from edge_agent.shell.runners import children
from protocol import limits, messages
from protocol.errors import TrustError
from protocol.link.anchor import ProvenAnchor

log = logging.getLogger("skerry.agent")


class Clerk:
    """The certificates of one life of the agent. `certificate` is the device's own, as it is on disk."""

    def __init__(
        self, data: Path, file: identity.AgentFile, found: notes.Notes, certificate: notes.Certificate
    ) -> None:
        self._data = data
        self.certificate = certificate
        self.anchor = _anchor(file)
        for proof in found.proofs:
            self.anchor.take(proof)
        self._parent = file.parent
        self._waiting: deque[messages.AnyMessage] = deque()

    @classmethod
    async def of(cls, data: Path, file: identity.AgentFile) -> Clerk:
        """Read the papers in `data`. Raises TrustError or OSError when the certificate cannot be read."""
        found = notes.read(data, file.root_pin)
        if identity.is_invited(data):
            return cls(data, file, found, notes.Certificate(file="", id=file.node, from_ms=0, until_ms=0))
        return cls(data, file, found, found.certificate or _certified(await errands.ask(data, "read")))

    # -------------------------------------------------------------------------------------------- the parent's

    def heard(
        self, message: messages.AnyMessage, helpers: children.Helpers, hand_on: Callable[[messages.AnyMessage], None]
    ) -> None:
        """Hand `message` on, in order, once a chain in it is proven or refused; WAITING_FOR_PROOF_MAX wait, no more."""
        if not self._waiting and not self._is_new(message):
            hand_on(message)
        elif len(self._waiting) < limits.WAITING_FOR_PROOF_MAX:
            self._waiting.append(message)
            if len(self._waiting) == 1:
                helpers.create_task(self._introduce(hand_on))

    async def _introduce(self, hand_on: Callable[[messages.AnyMessage], None]) -> None:
        while self._waiting:
            message = self._waiting[0]
            if isinstance(message, messages.Welcome) and self._is_new(message):
                await self._prove(message.chain)
            self._waiting.popleft()
            hand_on(message)

    def _is_new(self, message: messages.AnyMessage) -> bool:
        return (
            isinstance(message, messages.Welcome)
            and bool(message.chain)
            and not self.anchor.knows(message.chain, self._parent)
        )

    async def _prove(self, chain: str) -> None:
        try:
            answer = await errands.ask(self._data, "prove", chain)
            if answer.proof is not None:
                self.anchor.take(answer.proof)
        except (TrustError, OSError) as error:
            self.anchor.doubt(str(error))
            log.warning("what the hub signs is refused: %s", error)

    # -------------------------------------------------------------------------------------------- our own

    async def prove(self, chain: str) -> None:
        """Prove the parent's signing chain that came without a Welcome; the core finds it proven, or refused."""
        if chain and not self.anchor.knows(chain, self._parent):
            await self._prove(chain)

    async def make_csr(self, report: Callable[[inputs.Input], None]) -> None:
        """Make a certificate request for the device's key; CsrMade follows, or nothing: the core asks again."""
        try:
            answer = await errands.ask(self._data, "csr")
        except (TrustError, OSError) as error:
            log.warning("no certificate request could be made: %s", error)
            return
        report(inputs.CsrMade(csr=answer.csr))

    async def store(self, chain: str, report: Callable[[inputs.Input], None]) -> None:
        """Check and store a renewed certificate; CertificateStored follows, or nothing: the core asks again."""
        try:
            stored = self.certificate = _certified(await errands.ask(self._data, "store", chain))
        except (TrustError, OSError) as error:
            log.warning("the renewed certificate is not used: %s", error)
            return
        report(inputs.CertificateStored(from_ms=stored.from_ms, until_ms=stored.until_ms))

    async def check_move(self, action: inputs.CheckMove, report: Callable[[inputs.Input], None]) -> None:
        """Prove that a hub above ours and above the one named says where we belong; MoveChecked follows."""
        try:
            await errands.ask(self._data, "move", action.move.decode())
        except (TrustError, OSError) as error:
            log.warning("this device does not move: %s", error)
            report(inputs.MoveChecked(digest=action.digest, error=str(error)))
        else:
            report(inputs.MoveChecked(digest=action.digest))

    async def ask_apart(self, report: Callable[[inputs.Input], None]) -> None:
        """Ask the hub's API how this device stands; AnsweredApart follows, whatever happens, after a Got of Revoked."""
        try:
            answer = await errands.ask(self._data, "apart", wait_s=limits.RENEW_APART_WAIT_S)
        except (TrustError, OSError) as error:
            log.info("the hub could not be asked apart from the link: %s", error)
            answer = notes.Answer()
        if answer.revoked is not None and answer.proof is not None:
            self.anchor.take(answer.proof)
            report(inputs.Got(message=answer.revoked))
        report(inputs.AnsweredApart(certificate=answer.renewed, refused=answer.refused))


def _anchor(file: identity.AgentFile) -> ProvenAnchor:
    if file.mqtt.sealed:  # through a broker X.509 is loaded anyway: the seal proves each Welcome before it is read
        from protocol.trust.signing import Anchor

        return Anchor(file.root_pin, file.scope)
    return ProvenAnchor(file.root_pin)


def _certified(answer: notes.Answer) -> notes.Certificate:
    assert answer.certificate is not None
    return answer.certificate
