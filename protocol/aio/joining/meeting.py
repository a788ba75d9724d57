"""Meeting a hub for the first time: who is there is proven by what the token says, before the token goes to it.

    GET /v1/ca, /v1/info   unverified; the CA must match the token's pin (INVARIANTS C12)
    POST /v1/enroll        verified: that CA, and the scope of the hub that made the token; the token and the requests
                           go only now, and to no other hub under that CA

Not imported by any daemon (httpx).
"""

from __future__ import annotations

import ssl
from typing import TypeVar

import httpx
import msgspec

from protocol import ids, limits
from protocol.aio import tls
from protocol.aio.joining import proxied, words
from protocol.errors import Refused, TrustError
from protocol.trust import signing

T = TypeVar("T")


def meet(at: str, token: str) -> words.Met:
    """Return the hub at `at` (as words.base gives it), its CA proven by the token's pin; who it says it is, is the hub
    that made the token, which `enroll` has TLS prove.

    Raises TrustError, Refused, Unreachable, BadId.
    """
    made = signing.token_parse(token)
    unproven = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unproven.check_hostname = False
    unproven.verify_mode = ssl.CERT_NONE  # the pin proves what comes, or it is thrown away
    with proxied.client(unproven, limits.CONNECT_WAIT_S, at) as client:
        root = _get(client, "/v1/ca").text
        info = _get(client, "/v1/info").content
    if len(root) > limits.MEETING_CA_BYTES_MAX or signing.spki_hash(root) != made.pin:
        raise TrustError(
            f"the hub at {at} is not the one that made this token (its CA does not match the token's pin): "
            "check its address, or somebody stands in between"
        )
    said = _decode(info, words.Info, at)
    for name in (said.hub, *said.path):
        ids.node_id(name)
    if said.scope != made.scope:
        raise TrustError(
            f"the hub at {at} is {ids.scope(said.scope)}, and the token is of {made.scope}: check the address, or ask "
            "for a token of that hub"
        )
    return words.Met(base=at, root=root, info=said)


def enroll(met: words.Met, body: dict[str, object], who: str) -> words.Enrolled:
    """Ask in, for `who` as errors call it. Raises Refused, TrustError, Unreachable."""
    with proxied.client(tls.api_context(met.root, met.info.scope), limits.CONNECT_WAIT_S, met.base) as client:
        try:
            response = client.post("/v1/enroll", json=body)
        except httpx.HTTPError as error:
            raise _unreachable(met.base, error) from error
    if response.status_code >= 500:
        raise words.Unreachable(f"the hub at {met.base} cannot enroll now: {_error_of(response)}; try again")
    if response.status_code != 200:
        raise Refused(f"the hub did not enroll {who}: {_error_of(response)}")
    answer = _decode(response.content, words.Enrolled, met.base)
    ids.node_id(answer.node)
    if ids.node_id(answer.hub) != met.info.hub or answer.scope != met.info.scope:
        raise TrustError(f"{met.base} answered as hub {answer.hub} in {answer.scope}, not as {met.info.hub}: refused")
    if signing.spki_hash(answer.root) != signing.spki_hash(met.root):
        raise TrustError("the hub answered with another CA than the token pins: refused")
    return answer


def _get(client: httpx.Client, path: str) -> httpx.Response:
    try:
        response = client.get(path)
    except httpx.HTTPError as error:
        raise _unreachable(str(client.base_url).rstrip("/"), error) from error
    if response.status_code != 200:
        raise Refused(f"{client.base_url}{path.lstrip('/')} answered {response.status_code}: is that a Skerry hub?")
    return response


def _unreachable(at: str, error: httpx.HTTPError) -> words.Unreachable:
    if isinstance(error, httpx.ProxyError):
        return words.Unreachable(proxied.doubt(at, error))
    if isinstance(error, httpx.ReadError | httpx.RemoteProtocolError):
        return words.Unreachable(
            f"{at} takes connections but does not answer as a hub's API: is it the port of MQTT? "
            f"Write the API's: https://HOST:{words.PORT}"
        )
    return words.Unreachable(
        f"cannot reach the hub at {at}: {error or type(error).__name__}; check the address and the network"
    )


def _decode(raw: bytes, kind: type[T], at: str) -> T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.DecodeError as error:
        raise Refused(f"{at} does not answer as a Skerry hub: {error}") from error


def _error_of(response: httpx.Response) -> str:
    try:
        return str(msgspec.json.decode(response.content, type=dict[str, object]).get("error", response.status_code))
    except msgspec.DecodeError:
        return f"status {response.status_code}"
