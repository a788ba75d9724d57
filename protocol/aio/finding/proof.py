"""Whether a hub is at an address: a TLS handshake that it cannot pass without its key. Nothing else is a proof."""

from __future__ import annotations

import socket
import ssl

from protocol import limits


def stands(host: str, port: int, context: ssl.SSLContext) -> str:
    """Shake hands at `host`:`port`; return "" when who answers there is whom `context` demands, else why not.

    `context` checks the chain and the name (protocol.aio.tls). Waits at most limits.DISCOVER_TRY_S.
    """
    try:
        with (
            socket.create_connection((host, port), limits.DISCOVER_TRY_S) as raw,
            context.wrap_socket(raw),
        ):
            return ""
    except ssl.SSLCertVerificationError as error:
        return f"its certificate does not hold: {error.verify_message}"
    except (OSError, UnicodeError) as error:  # a name that is none, too
        return str(error) or type(error).__name__


def text(host: str, port: int) -> str:
    """Return `HOST:PORT`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
