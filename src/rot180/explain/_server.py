"""The page served on this machine: every change is computed here."""

from __future__ import annotations

import errno
import json
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from rot180.errors import ArgumentError, Rot180Error
from rot180.explain._document import document
from rot180.explain._explanation import LETTERS, RANDOM, Explanation, explained
from rot180.explain._extra import need
from rot180.explain._page import page, policy
from rot180.explain._setting import PARAMETERS, read_setting
from rot180.explain._values import MOST
from rot180.explain._words import Language

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

# Where it listens, and the names that a browser on this machine may call it by.
ADDRESS: Final = "127.0.0.1"
PORT: Final = 8180
HOSTS: Final = (ADDRESS, "localhost")
# Characters of the longest query that is read.
_MOST_QUERY: Final = 40_000
_VIEW: Final = ("pass", "cell", "show", "language", "theme")
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def application() -> Starlette:
    """Returns the server: the page at `/`, its data at `/api/explain`.

    Both read the same query: the parameters as the command line writes them, the
    numbers of given tensors as `X=1,2,3`, and `count_from`.
    """
    need("starlette")
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.responses import PlainTextResponse, Response
    from starlette.routing import Route

    return Starlette(
        routes=[
            Route("/", _answering(_page, PlainTextResponse)),
            Route("/api/explain", _answering(_data, _told)),
            Route("/favicon.ico", lambda request: Response(status_code=204)),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(HOSTS))],
        exception_handlers={HTTPException: _refused, Exception: _fault},
    )


def serve(
    found: Explanation,
    *,
    given: bool = False,
    language: Language | None = None,
    port: int = PORT,
    announce: Callable[[str], None] = print,
) -> None:
    """Serves the page on this machine until interrupted.

    Args:
        found: What it shows first.
        given: Whether its numbers were given, and so belong into the address.
        language: What the page speaks; None for what the browser prefers.
        port: The port to listen on; 0 for any that is free.
        announce: Called with the address when it listens.

    Raises:
        MissingPackageError: Starlette or uvicorn is not installed.
        ArgumentError: The port is taken.
    """
    uvicorn = need("uvicorn")
    app = application()
    with _listening(port) as listener:
        asked = query_of(found, given=given)
        asked |= {} if language is None else {"language": language}
        query = urlencode(asked, safe=",:")
        start = f"http://{ADDRESS}:{listener.getsockname()[1]}/"
        announce(f"{start}?{query}" if query else start)
        config = uvicorn.Config(app, log_level="warning", server_header=False)
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])


def _listening(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((ADDRESS, port))
        listener.listen()  # from here on a browser may come, and is answered soon
    except OSError as error:
        listener.close()
        why = "taken" if error.errno == errno.EADDRINUSE else str(error)
        raise ArgumentError(
            f"explain: port {port} is {why}\n  Pass another, or --port 0 for any."
        ) from error
    return listener


def query_of(found: Explanation, *, given: bool) -> dict[str, str]:
    """Returns the query that asks for an explanation, with numbers that were given."""
    query = found.setting.words()
    if found.names.count_from != 1:
        query["count_from"] = str(found.names.count_from)
    if given and found.values is not None:
        for name in found.given:
            query[name] = ",".join(map(str, found.values[name].values()))
    return query


def _page(query: Mapping[str, str]) -> Response:
    from starlette.responses import HTMLResponse

    known = {name: text for name, text in query.items() if name not in _VIEW}
    html = page(read_explanation(known), served=True)
    return HTMLResponse(html, headers={"Content-Security-Policy": _policy()})


def _policy() -> str:
    return policy(served=True) + "; frame-ancestors 'none'"


def _data(query: Mapping[str, str]) -> Response:
    from starlette.responses import Response

    told = document(read_explanation(query), texts=False)
    text = json.dumps(told, separators=(",", ":"), ensure_ascii=False)
    return Response(text, media_type="application/json")


def _told(message: str, status_code: int) -> Response:
    from starlette.responses import JSONResponse

    return JSONResponse({"error": message}, status_code)


def _answering(
    answer: Callable[[Mapping[str, str]], Response],
    refuse: Callable[..., Response],
) -> Callable[[Request], Awaitable[Response]]:
    """Returns the endpoint that answers a query, with an error as a message."""

    async def endpoint(request: Request) -> Response:
        try:
            _check_origin(request)
            response = answer(_query(request))
        except Rot180Error as error:
            response = refuse(str(error), status_code=400)
        response.headers.update(_HEADERS)
        return response

    return endpoint


def _check_origin(request: Request) -> None:
    """Raises ArgumentError where another site's page asks, not ours or a person."""
    site = request.headers.get("sec-fetch-site", "none")
    mode = request.headers.get("sec-fetch-mode", "navigate")
    if site not in ("none", "same-origin") and mode != "navigate":
        raise ArgumentError("explain: asked by another site\n  Open the page itself.")


async def _refused(request: Request, error: Exception) -> Response:
    """No such page, or another method than GET."""
    from starlette.responses import JSONResponse

    status = getattr(error, "status_code", 400)
    told = {"error": f"explain: {getattr(error, 'detail', error)}"}
    return JSONResponse(told, status_code=status, headers=_HEADERS)


async def _fault(request: Request, error: Exception) -> Response:
    """A fault of ours: a message, and no traceback to the browser."""
    from starlette.responses import JSONResponse

    told = {"error": "explain: this is a fault of rot180; please report it."}
    return JSONResponse(told, status_code=500, headers=_HEADERS)


def _query(request: Request) -> dict[str, str]:
    """Returns the query, every name once."""
    if len(request.url.query) > _MOST_QUERY:
        raise ArgumentError(
            f"explain: the address has {len(request.url.query)} characters, at most "
            f"{_MOST_QUERY} are read\n  Use a smaller input."
        )
    items = request.query_params.multi_items()
    names = [name for name, _ in items]
    for name in names:
        if names.count(name) > 1:
            raise ArgumentError(f"explain: {name[:40]!r} is given twice\n  Give one.")
    return dict(items)


def read_explanation(query: Mapping[str, str]) -> Explanation:
    """Returns the explanation that a query asks for.

    With `fit=true` numbers that do not fit their tensor are drawn anew; else they are
    an error.

    Raises:
        Rot180Error: A name is not known, a text cannot be read, or it is too large.
    """
    known = {p.name for p in PARAMETERS}
    what = read_setting({n: t for n, t in query.items() if n in known})
    others = {n: t for n, t in query.items() if n not in known}
    count_from = _choice(others, "count_from", {"1": 1, "0": 0})
    fits = _choice(others, "fit", {"false": 0, "true": 1})
    arrays = {name: _numbers(name, text) for name, text in others.items()}
    if fits:
        plain = explained(what, LETTERS)
        sizes = {name: plain.tensors[name].size for name in plain.given}
        arrays = {n: a for n, a in arrays.items() if len(a) == sizes.get(n)}
    return explained(what, arrays or RANDOM, count_from=count_from)


def _choice(others: dict[str, str], name: str, choices: dict[str, int]) -> int:
    """Takes one of few words out of the query; the first where it is not there."""
    text = others.pop(name, next(iter(choices)))
    if text not in choices:
        raise ArgumentError(
            f"explain: {name} is {text[:40]!r}\n  Use {' or '.join(choices)}."
        )
    return choices[text]


def _numbers(name: str, text: str) -> list[float]:
    try:
        return [_number(part) for part in text.split(",")]
    except ValueError:
        raise ArgumentError(
            f"explain: {name[:40]} is {text[:40]!r}, which is not numbers\n"
            f"  Write numbers up to {MOST:g} with commas between: {name[:40]}=1,2.5,-3."
        ) from None


def _number(text: str) -> float:
    value = float(text)
    return int(value) if value.is_integer() else value
