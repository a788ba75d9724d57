"""HTTP by way of the proxy that the environment names (HTTPS_PROXY, NO_PROXY), if it names one."""

from __future__ import annotations

import ssl

import httpx

from protocol.errors import Refused


def client(context: ssl.SSLContext, wait_s: float, at: str = "") -> httpx.Client:
    """Return a client of the API `at`. Raises Refused when the environment names a proxy that nobody can use."""
    try:
        return httpx.Client(base_url=at, verify=context, timeout=wait_s)
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        raise Refused(
            f"the proxy of this environment cannot be used ({error}): write HTTPS_PROXY=http://HOST:PORT, or unset it"
        ) from error


def doubt(at: str, error: httpx.ProxyError) -> str:
    """Return what to say when a proxy lets nobody through to `at`."""
    return (
        f"the proxy of this environment (HTTPS_PROXY) does not let through to {at}: {error}; NO_PROXY names exceptions"
    )
