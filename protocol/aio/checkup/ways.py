"""Ways to listeners: TCP, TLS under our root and for the right name, MQTT as far as it changes nothing.

A CONNECT with a client id that is in use takes the session over, so nobody's own id is given while he may be connected:
our front door answers another one with CLIENT_ID_NOT_VALID, after it has judged the certificate.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import ssl
import time
from typing import Any, cast

from protocol import limits
from protocol.doctor.facts import Answer, Step, Way

_NUMBER = re.compile(r"\[Errno -?\d+\] |\[SSL: \w+\] | \(_ssl\.c:\d+\)")
_CONNACK, _DISCONNECT, _LONG = 0x20, b"\xe0\x00", 0x80


def ask(host: str, port: int, context: ssl.SSLContext | None) -> Answer:
    """Ask a hub's API who it is (GET /v1/info); without a `context` in the clear, as a proxy of one's own may want."""
    where, wait_s = address(host, port), limits.DOCTOR_DIAL_S
    asking = (
        http.client.HTTPConnection(host, port, timeout=wait_s)
        if context is None
        else http.client.HTTPSConnection(host, port, timeout=wait_s, context=context)
    )
    try:
        asking.request("GET", "/v1/info")
        response = asking.getresponse()
        raw = response.read(limits.DOCTOR_ANSWER_BYTES_MAX)
        if response.status != http.HTTPStatus.OK:
            return Answer(where=where, error=f"it answers {response.status}: is that a Skerry hub?")
        said = cast("dict[str, Any]", json.loads(raw))
        at_ms = int(time.time() * 1000)
        return Answer(
            where=where, hub=str(said["hub"]), version=str(said["version"]), time_ms=int(said["time_ms"]), at_ms=at_ms
        )
    except ssl.SSLCertVerificationError as error:
        return Answer(where=where, error=error.verify_message, stranger=True)
    except (OSError, http.client.HTTPException) as error:
        return Answer(where=where, error=plain(error))
    except (ValueError, KeyError, TypeError):
        return Answer(where=where, error="its answer is not that of a Skerry hub")
    finally:
        asking.close()


def way(host: str, port: int, context: ssl.SSLContext, client_id: str = "") -> Way:
    """Try TCP, then TLS, then (with a `client_id`) an MQTT CONNECT that is ended at once."""
    where, began = address(host, port), time.monotonic()
    reached, refused = Step.NOWHERE, 0
    try:
        with socket.create_connection((host, port), limits.DOCTOR_DIAL_S) as sock:
            reached = Step.TCP
            with context.wrap_socket(sock) as secured:
                reached = Step.TLS
                took_s = time.monotonic() - began
                refused = _connect(secured, client_id) if client_id else _alert(secured)
                reached = Step.MQTT if client_id else reached
    except ssl.SSLCertVerificationError as error:
        return Way(where=where, reached=reached, error=error.verify_message, stranger=True)
    except (ssl.SSLEOFError, ConnectionResetError) as error:
        return Way(where=where, reached=reached, error=plain(error), cut=reached is Step.TCP)
    except OSError as error:
        return Way(where=where, reached=reached, error=plain(error))
    return Way(where=where, reached=reached, refused=refused, took_s=took_s)


def address(host: str, port: int) -> str:
    """Return `host:port` as people write it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def plain(error: Exception) -> str:
    """Return an error of the system's or of TLS without its numbers."""
    if isinstance(error, TimeoutError):
        return f"no answer within {limits.DOCTOR_DIAL_S:g} s"
    return _NUMBER.sub("", str(error)) or type(error).__name__


def _alert(secured: ssl.SSLSocket) -> int:
    """Wait a moment for a peer that has seen our certificate (TLS 1.3 shows it last) to say no. Raises OSError."""
    secured.settimeout(limits.DOCTOR_ALERT_S)
    try:
        if not secured.recv(1):
            raise ConnectionError("it closed the connection when it saw our certificate")
    except TimeoutError:
        pass  # it waits for us to speak: we are let in
    return 0


def _connect(secured: ssl.SSLSocket, client_id: str) -> int:
    """Say CONNECT, clean and without a will; return the reason code of the CONNACK. Raises OSError."""
    body = b"\x00\x04MQTT\x05\x02\x00\x1e\x00" + len(client_id).to_bytes(2, "big") + client_id.encode()
    secured.settimeout(limits.DOCTOR_DIAL_S)
    secured.sendall(bytes((0x10, len(body))) + body)
    head = b""
    while len(head) < 4:
        more = secured.recv(4 - len(head))
        if not more:
            raise ConnectionError("it closed the connection before it answered CONNECT")
        head += more
    if head[0] != _CONNACK:
        raise ConnectionError("what answers there does not speak MQTT")
    code = head[3] if head[1] < _LONG else secured.recv(1)[0]  # a length over 127 takes two bytes
    with contextlib.suppress(OSError):  # who says no may have hung up
        secured.sendall(_DISCONNECT)
    return code
