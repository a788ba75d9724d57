"""Every failure as {"error": one sentence}, with "mistakes" where several places are wrong.

A request that this hub does not know has the "code" "unknown-request": nobody has to read that from the sentence.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from protocol.errors import UNKNOWN_REQUEST, BadId, Refused, SkerryError, SpecError, TooLarge, TrustError

MORE = "skerry-more"
log = logging.getLogger("skerry.api")

_STATUS: dict[type[SkerryError], int] = {BadId: 422, TooLarge: 413, TrustError: 403, SpecError: 422, Refused: 409}


def failure(status: int, error: str, **more: object) -> Response:
    """Return the response that says `error`."""
    return answer({"error": error, **more}, status)


def answer(data: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return `data` as JSON."""
    return Response(msgspec.json.encode(data), status, headers, media_type="application/json")


def page(listed: object, more: str) -> Response:
    """Return a page of a list; `more` is where the next one starts, empty when there is none."""
    return answer(listed, headers={MORE: more} if more else None)


def raw(data: bytes, status: int = 200) -> Response:
    """Return bytes that are JSON already."""
    return Response(data, status, media_type="application/json")


def install(app: FastAPI) -> None:
    """Have `app` answer every kind of failure in the one shape."""
    app.add_exception_handler(SkerryError, _on_skerry)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_defect)


async def _on_skerry(request: Request, error: Exception) -> Response:
    own: Any = getattr(error, "status", None)
    status = (
        own if isinstance(own, int) else next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 400)
    )
    return failure(status, str(error))


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    mistakes = [_mistake(one) for one in error.errors()]
    is_unknown = any(one["type"] == "extra_forbidden" for one in error.errors())
    more = {"code": UNKNOWN_REQUEST} if is_unknown else {}
    return failure(422, "; ".join(mistakes[:5]) + ("; …" if len(mistakes) > 5 else ""), **more)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path[:200]
    known = {
        404: f"there is nothing at {path}: see /openapi.json for what there is",
        405: f"{request.method} is not possible at {path}: see /openapi.json for what is",
    }
    if error.status_code not in known:
        return failure(error.status_code, str(error.detail))
    return failure(error.status_code, known[error.status_code], code=UNKNOWN_REQUEST)


async def _on_defect(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return failure(500, "the hub failed at this request; its log says how. Nothing is half done: try again")


def _mistake(one: dict[str, Any]) -> str:
    """Return one sentence for one of pydantic's findings."""
    place: Sequence[object] = one.get("loc", ())
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place[1:]).removeprefix(".")
    kind, text = str(one.get("type", "")), str(one.get("msg", "is wrong"))
    if kind == "json_invalid":
        return "the request's body is not JSON"
    if kind == "missing":
        return f"{path or 'the body'} is missing"
    if kind == "extra_forbidden":
        return f"{path}: there is no such field"
    return f"{path or 'the body'}: {text[:1].lower()}{text[1:]}"
