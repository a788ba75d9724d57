"""The way to the hub: the context of this user, and its HTTP API over TLS under the hub's own CA.

The hub is known by its name (`HUB.skerry` in its certificate), not by its address, and only under its root (INVARIANTS
C12). No proxy of the environment sees the token.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import ssl
import urllib.parse
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hub.cli.listing import answered
from hub.cli.view import output
from protocol.errors import UNKNOWN_REQUEST, Refused, SkerryError, SpecError

if TYPE_CHECKING:
    import httpx

NO_CHECK_TIME = 0x200000
"""As in protocol.aio.tls: a region whose CA expired while its parent is away serves its operators on."""
CONNECT_WAIT_S = 5.0
ANSWER_WAIT_S = 60.0
UPLOAD_WAIT_S = 600.0
ALARM = "skerry-alarm"
MORE = "skerry-more"
_ERROR_NUMBER = re.compile(r"\[Errno -?\d+\] ")


class UsageError(SkerryError):
    """The command cannot be understood, or nobody said which hub; exit code 2."""


class HubAway(SkerryError):
    """The hub did not answer; exit code 3."""


class ApiRefused(Refused):
    """The hub answered, and turned it down. `mistakes` are those of a document, each with its place."""

    def __init__(self, text: str, status: int, mistakes: list[dict[str, Any]], code: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.mistakes = mistakes
        self.code = code

    @property
    def is_foreign(self) -> bool:
        """Tell whether the hub does not know what it was asked for."""
        return self.code == UNKNOWN_REQUEST


class Mistaken(SpecError):
    """The documents have mistakes, found before they were sent; nothing is applied."""

    def __init__(self, mistakes: list[dict[str, Any]]) -> None:
        super().__init__(f"{len(mistakes)} mistakes, nothing applied")
        self.mistakes = mistakes


@dataclass(frozen=True)
class Context:
    """Which hub, by what right, and how to know it. `root_pem` is the PEM text, or the path of a file that holds it;
    `name` is what the hub proves by TLS."""

    url: str
    token: str
    root_pem: str
    hub: str
    name: str


def context_path() -> Path:
    """Return where this user's context lies: $SKERRY_CONTEXT, or skerry/context.json under the config home."""
    named = os.environ.get("SKERRY_CONTEXT")
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(named) if named else Path(base) / "skerry" / "context.json"


def context(path: Path | None = None) -> Context:
    """Return this user's context, or the one at `path`. Raises UsageError when there is none, or it cannot be read."""
    path = path or context_path()
    try:
        found = json.loads(path.read_text())
        return Context(**{key: str(found[key]) for key in ("url", "token", "root_pem", "hub", "name")})
    except FileNotFoundError as error:
        hint = "make a hub with `skerry hub init`, or set SKERRY_CONTEXT to the context.json of one"
        raise UsageError(f"no hub is known here ({path} does not exist): {hint}") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}): run as the user who made the hub") from error
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(f"{path} is no context ({error}): copy it anew from where the hub was made") from error


def trust(found: Context) -> ssl.SSLContext:
    """Return TLS that trusts this hub's root and nothing else."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    pem = found.root_pem
    try:
        made.verify_flags = ssl.VerifyFlags(made.verify_flags | NO_CHECK_TIME)
        made.load_verify_locations(cadata=pem if "-----BEGIN" in pem else Path(pem).expanduser().read_text())
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"the root certificate in {context_path()} cannot be used: {error}") from error
    return made


class Client:
    """One connection to the hub's API. Methods raise HubAway, ApiRefused; use as a context manager."""

    def __init__(self, found: Context | None = None, *, quiet: bool = False) -> None:
        """`quiet`: keep the hub's alarm for `alarm`, unsaid."""
        import httpx

        self.context = found or context()
        url = self.context.url.rstrip("/")
        self._httpx = httpx
        self._http = httpx.Client(
            base_url=url,
            verify=trust(self.context) if url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            headers={"Authorization": f"Bearer {self.context.token}"},
            timeout=httpx.Timeout(ANSWER_WAIT_S, connect=CONNECT_WAIT_S),
            trust_env=False,
        )
        self.alarm = ""
        """What the hub waits for an operator to decide, as far as it has answered."""
        self.has_more = False
        """Whether there is another page after the last one that was read."""
        self._is_quiet = quiet
        self._extensions = {"sni_hostname": self.context.name}

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **params: object) -> Any:
        """Return the JSON at `path`; parameters that are None or empty are left out."""
        return self.send("GET", path, params=params)

    def post(self, path: str, body: object) -> Any:
        """Return the JSON that answers `body`."""
        return self.send("POST", path, body=body)

    def pages(self, path: str, **params: object) -> Iterator[list[dict[str, Any]]]:
        """Yield the pages of the list at `path`, each when it is wanted; parameters as in `get`."""
        start: str | None = None
        while start != "":
            answer = self._answer("GET", path, params | {"start": start}, None)
            start = str(answer.headers.get(MORE, ""))
            self.has_more = bool(start)
            yield answered.read(answer.content)

    def send(self, method: str, path: str, *, params: dict[str, object] | None = None, body: object = None) -> Any:
        """Return the JSON that answers one request, None for an empty answer."""
        answer = self._answer(method, path, params or {}, body)
        return answered.read(answer.content) if answer.content else None

    def _answer(self, method: str, path: str, params: dict[str, object], body: object) -> httpx.Response:
        with self._watching():
            answer = self._http.request(
                method,
                _escaped(path),
                params=_present(params),
                content=json.dumps(body) if body is not None else None,
                headers={"Content-Type": "application/json"} if body is not None else None,
                extensions=self._extensions,
            )
        self._show_alarm(answer)
        _check(answer)
        return answer

    def send_bytes(self, path: str, body: bytes) -> Any:
        """Return the JSON that answers a body of bytes."""
        with self._watching():
            answer = self._http.post(_escaped(path), content=body, extensions=self._extensions)
        self._show_alarm(answer)
        _check(answer)
        return answered.read(answer.content)

    def download(self, path: str, at: int) -> Iterator[bytes]:
        """Yield the bytes at `path` from byte `at` on."""
        headers = {"Range": f"bytes={at}-"} if at else {}
        with (
            self._watching(),
            self._http.stream("GET", _escaped(path), headers=headers, extensions=self._extensions) as answer,
        ):
            if answer.is_error:
                answer.read()
                _check(answer)
            yield from answer.iter_raw()

    def lines(
        self, method: str, path: str, *, params: dict[str, object] | None = None, body: object = None
    ) -> Iterator[dict[str, Any]]:
        """Yield the JSON objects of an NDJSON answer as they come; for as long as they come."""
        with (
            self._watching(),
            self._http.stream(
                method,
                _escaped(path),
                params=_present(params or {}),
                content=json.dumps(body) if body is not None else None,
                headers={"Content-Type": "application/json"} if body is not None else None,
                timeout=self._httpx.Timeout(None, connect=CONNECT_WAIT_S),
                extensions=self._extensions,
            ) as answer,
        ):
            self._show_alarm(answer)
            if answer.is_error:
                answer.read()
                _check(answer)
            for line in answer.iter_lines():
                if line.strip():
                    yield answered.read(line)

    def _show_alarm(self, answer: httpx.Response) -> None:
        """Show, once, what the hub waits for an operator to decide: on stderr, whatever was asked."""
        alarm = answer.headers.get(ALARM, "")
        if alarm and not self.alarm and not self._is_quiet:
            output.warn(alarm)
        self.alarm = alarm

    def holds(self, path: str) -> bool:
        """Tell whether there is something at `path`."""
        with self._watching():
            answer = self._http.head(_escaped(path), extensions=self._extensions)
        if answer.status_code == 404:
            return False
        _check(answer)
        return True

    def upload(self, path: str, size: int, chunks: Iterable[bytes]) -> None:
        """Put `size` bytes at `path`."""
        with self._watching():
            answer = self._http.put(
                path,
                content=chunks,
                headers={"Content-Length": str(size), "Content-Type": "application/zstd"},
                timeout=self._httpx.Timeout(UPLOAD_WAIT_S, connect=CONNECT_WAIT_S),
                extensions=self._extensions,
            )
        _check(answer)

    @contextlib.contextmanager
    def _watching(self) -> Generator[None]:
        httpx = self._httpx
        try:
            yield
        except httpx.ConnectError as error:
            raise HubAway(self._unreachable(error)) from error
        except httpx.TimeoutException as error:
            raise HubAway(
                f"the hub at {self.context.url} did not answer in time: is it overloaded? try again"
            ) from error
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise HubAway(f"the connection to the hub at {self.context.url} broke ({error}): try again") from error

    def _unreachable(self, error: Exception) -> str:
        text = str(error)
        if "CERTIFICATE_VERIFY_FAILED" in text or "certificate verify failed" in text:
            why = "it is another hub, or it was made anew; use the context.json of the hub that runs there"
            return f'what answers at {self.context.url} is not the hub "{self.context.hub}" of your context: {why}'
        hint = "is it up (skerry hub serve)? is the address in your context right"
        text = _ERROR_NUMBER.sub("", text).lower()
        return f"cannot reach the hub at {self.context.url} ({text}): {hint} ({context_path()})?"


def stranger(text: str) -> str:
    """Return `text`, what the hub of this user's context does not know, with its version and ours."""
    theirs = ""
    with contextlib.suppress(SkerryError), Client(quiet=True) as asking:
        theirs = str(asking.get("/v1/info").get("version", ""))
    return f"{text}; {answered.versions(theirs)}"


def _escaped(path: str) -> str:
    """Return `path` so that names in it stay names. Raises UsageError for one that would lead elsewhere."""
    if not {".", ".."}.isdisjoint(path.split("/")):
        named = path.removeprefix("/v1/").partition("/")[2] or path
        raise UsageError(f"{named[:80]!r} is no name: write one that `skerry get` shows")
    return urllib.parse.quote(path, safe="/:@=,~")


def _present(params: dict[str, object]) -> dict[str, str]:
    return {
        key: ("true" if value is True else str(value))
        for key, value in params.items()
        if value is not None and value is not False and value != ""
    }


def _check(answer: httpx.Response) -> None:
    """Raise ApiRefused unless the hub said yes."""
    if answer.is_success:
        return
    body: Any = None
    with contextlib.suppress(ValueError):
        body = answer.json()
    found = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
    text = str(found.get("error") or f"the hub answered {answer.status_code} {answer.reason_phrase}")
    if answer.status_code == 401:
        text = f"{text}: is the token in {context_path()} still good?"
    mistakes = found.get("mistakes")
    told = cast("list[dict[str, Any]]", mistakes) if mistakes else []
    raise ApiRefused(text, answer.status_code, told, str(found.get("code", "")))
