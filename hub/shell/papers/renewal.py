"""The certificate of this hub's CA: requests for it, storing it, and asking the parent's API how this hub stands when
the link is not to be had (INVARIANTS C15, decision 0024).

    GET /v1/info     the parent's time, to sign: ours may be wrong
    POST /v1/renew   our id, that hub, that time, a request on the key of our CA; signed with that key

TLS checks the root and the parent's name, no dates.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable

import httpx
import msgspec

from hub.core import inputs
from hub.core.up.certificate import AnsweredApart, AskApart, CertificateStored, CsrMade, MakeCsr, StoreCertificate
from hub.shell.authority import Authority
from hub.shell.home import Parent
from protocol import limits
from protocol.aio import tls
from protocol.errors import Refused, SkerryError
from protocol.link.events import ChildTrust
from protocol.messages import Revoked

_log = logging.getLogger("skerry.hub")
_NO = (403, 404, 409, 422)


class _Info(msgspec.Struct, frozen=True):
    time_ms: int


class _Standing(msgspec.Struct, frozen=True):
    certificate: str = ""
    revoked: Revoked | None = None
    chain: str = ""


class _Said(msgspec.Struct, frozen=True):
    error: str


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What the parent said. `revoked`: the word that this hub no longer belongs to it, with the `chain` that proves the
    key which signed; hand both to the link before `answer` goes to the core."""

    answer: AnsweredApart
    revoked: Revoked | None = None
    chain: str = ""


class Clerk:
    """Does what the core asks about this hub's papers; `put` hands what came of it to the core."""

    def __init__(
        self,
        keys: Authority,
        trust: ChildTrust,
        parent: Parent,
        put: Callable[[inputs.Input], None],
        refresh: Callable[[], object],
    ) -> None:
        """`refresh` brings this hub's own TLS up to a new chain of its CA."""
        self._keys, self._trust, self._parent, self._put, self._refresh = keys, trust, parent, put, refresh

    async def perform(self, action: MakeCsr | StoreCertificate | AskApart) -> None:
        """Do it; what fails is told in the log, and the core asks again."""
        match action:
            case MakeCsr():
                self._put(CsrMade(csr=self._keys.ca_csr()))
            case StoreCertificate(certificate=chain):
                self._store(chain)
            case AskApart():
                await self._ask()

    def _store(self, chain: str) -> None:
        try:
            self._keys.store_ca(chain)
            self._refresh()
        except (SkerryError, OSError) as error:
            _log.warning("the renewed certificate of this hub's CA is not used: %s", error)
            return
        dates = self._keys.dates
        self._put(CertificateStored(from_ms=dates.from_ms, until_ms=dates.until_ms))

    async def _ask(self) -> None:
        heard = await ask(self._keys, self._parent)
        if heard.revoked is not None:
            try:
                self._trust.learn(heard.chain, self._parent.id)
                self._put(inputs.UpGot(message=heard.revoked))
            except SkerryError as error:
                _log.warning("a word that this hub was revoked is not believed: %s", error)
        self._put(heard.answer)


async def ask(keys: Authority, parent: Parent) -> Heard:
    """Ask; whoever cannot be reached, or answers oddly, is as if nothing was said. Raises nothing."""
    host = f"[{parent.api.host}]" if ":" in parent.api.host else parent.api.host
    url = f"https://{host}:{parent.api.port}"
    try:
        context = tls.api_context(keys.root.decode(), parent.scope)
        async with httpx.AsyncClient(
            base_url=url, verify=context, timeout=limits.CONNECT_WAIT_S, trust_env=False
        ) as client:
            time_ms = msgspec.json.decode(_bounded(await client.get("/v1/info")), type=_Info).time_ms
            asked = keys.ca_question(parent.id, time_ms)
            answer = await client.post("/v1/renew", json=msgspec.to_builtins(asked))
            if answer.status_code in _NO:
                said = msgspec.json.decode(_bounded(answer), type=_Said).error
                return Heard(answer=AnsweredApart(refused=said))
            if answer.status_code != 200:
                return Heard(answer=AnsweredApart())
            standing = msgspec.json.decode(_bounded(answer), type=_Standing)
    except (httpx.HTTPError, msgspec.DecodeError, ssl.SSLError, SkerryError):
        return Heard(answer=AnsweredApart())
    return Heard(answer=AnsweredApart(certificate=standing.certificate), revoked=standing.revoked, chain=standing.chain)


def _bounded(response: httpx.Response) -> bytes:
    if len(response.content) > limits.RENEWAL_ANSWER_BYTES_MAX:
        raise Refused(f"an answer of {len(response.content)} bytes is over {limits.RENEWAL_ANSWER_BYTES_MAX}")
    return response.content
