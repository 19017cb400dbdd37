"""JSON of servers, by plain http; what may be asked is what may be read."""

import http.client
import json
import os
import time
import urllib.error
import urllib.request
from typing import IO, Any

from ..contract.errors import InputError
from .access import require_allowed

_LARGEST = 2**28
"""Bytes of an answer."""
_PATIENCE = 20.0
"""Seconds without a byte."""
_LONGEST = 600.0
"""Seconds for an answer."""
_BUSY = {429, *range(500, 600)}
_KINDS = "application/geo+json, application/json;q=0.9, */*;q=0.1"


class _Checked(urllib.request.HTTPRedirectHandler):
    """Goes where a server sends it if that may be read."""

    def redirect_request(
        self, req: Any, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """Return the request of another address."""
        _require_web(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch_json(address: str, body: Any = None) -> Any:
    """Return what a server answers; None where that is no JSON, which is not fetched.

    A server that is busy is asked again, as often and as late as GDAL's settings say.

    Args:
        address: of http or https.
        body: what is posted to it; None to ask plainly.

    Raises:
        InputError: the address is not allowed, the server does not answer or says no, or its answer
            is damaged.
    """
    _require_web(address)
    content = None if body is None else json.dumps(body).encode()
    headers = {"Accept": _KINDS, "User-Agent": "landslide-mapper"}
    if content is not None:
        headers["Content-Type"] = "application/json"
    try:
        request = urllib.request.Request(address, content, headers)  # noqa: S310 - see _require_web
        with _opened(request) as answer:
            if not _is_json(answer):
                return None
            return json.loads(_whole(answer))
    except (OSError, ValueError, RecursionError, http.client.HTTPException) as error:
        raise InputError(
            f"{address} can't be fetched ({error}): check the address and the network."
        ) from error


def _opened(request: urllib.request.Request) -> Any:
    """Return a server's answer, once it is no more busy."""
    opener = urllib.request.build_opener(_Checked)
    again = int(os.environ.get("GDAL_HTTP_MAX_RETRY", "2"))
    delay = float(os.environ.get("GDAL_HTTP_RETRY_DELAY", "1"))
    for wait in [delay * 2**turn for turn in range(again)]:
        try:
            return opener.open(request, timeout=_PATIENCE)
        except urllib.error.HTTPError as error:
            if error.code not in _BUSY:
                raise
            error.close()
        time.sleep(wait)
    return opener.open(request, timeout=_PATIENCE)


def _require_web(address: str) -> None:
    """Refuse what is no address of the web, or is not allowed."""
    if not address.lower().startswith(("http://", "https://")):
        raise InputError(f"{address} is no address of http or https: save what it names as a file.")
    require_allowed(address)


def _is_json(answer: Any) -> bool:
    path = str(answer.url).partition("?")[0].lower()
    return "json" in answer.headers.get("Content-Type", "") or path.endswith((".json", ".geojson"))


def _whole(answer: Any) -> bytes:
    """Return an answer's content."""
    parts, size, end = [], 0, time.monotonic() + _LONGEST
    while part := answer.read1(2**20):
        parts.append(part)
        size += len(part)
        if size > _LARGEST or time.monotonic() > end:
            raise ValueError(f"more than {_LARGEST} bytes, or {_LONGEST:g} seconds")
    return b"".join(parts)
