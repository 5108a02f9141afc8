"""The page served on this machine: every change is computed here."""

from __future__ import annotations

import errno
import json
import os
import socket
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from rot180.errors import ArgumentError, Rot180Error
from rot180.explain._document import document
from rot180.explain._equations import Values
from rot180.explain._explained import LETTERS, RANDOM, Explained, explained
from rot180.explain._extra import need
from rot180.explain._page import VIEW, checked, page, policy
from rot180.explain._setting import PARAMETERS, setting
from rot180.explain._values import MOST

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Where it listens, and the names that a browser on this machine may call it by.
ADDRESS: Final = "127.0.0.1"
PORT: Final = 8180
HOSTS: Final = (ADDRESS, "localhost")
# Characters of the longest query that is read.
_MOST_QUERY: Final = 40_000
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
    numbers of given tensors as `X=1,2,3`, `seed` and `count_from`; the page also how it
    looks, see `page`.
    """
    need("starlette")
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    return Starlette(
        routes=[
            Route("/", _answering(_page, PlainTextResponse)),
            Route("/api/explain", _answering(_data, _told)),
            Route("/favicon.ico", _answering(_nothing, _told)),
        ],
        middleware=[
            Middleware(_Headed),
            Middleware(TrustedHostMiddleware, allowed_hosts=list(HOSTS)),
        ],
        exception_handlers={HTTPException: _refused, Exception: _fault},
    )


class _Headed:
    """Gives every answer the same headers, whoever answers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        from starlette.datastructures import MutableHeaders

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await self._app(scope, receive, headed)


def serve(
    found: Explained,
    *,
    view: Mapping[str, str] | None = None,
    port: int = PORT,
    announce: Callable[[str], None] = print,
) -> None:
    """Serves the page on this machine until interrupted.

    Args:
        found: What it shows first.
        view: How it looks at first, see `page`.
        port: The port to listen on; 0 for any that is free.
        announce: Called with the address when it listens.

    Raises:
        MissingPackageError: Starlette or uvicorn is not installed.
        ArgumentError: The port is taken.
    """
    uvicorn = need("uvicorn")
    app = application()
    with _listening(port) as listener:
        query = urlencode(query_of(found) | checked(found, view or {}), safe=",:")
        start = f"http://{ADDRESS}:{listener.getsockname()[1]}/"
        announce(f"{start}?{query}" if query else start)
        config = uvicorn.Config(app, log_level="warning", server_header=False)
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])


def _listening(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if os.name == "posix":  # elsewhere it would let two listen on one port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((ADDRESS, port))
        listener.listen()  # from here on a browser may come, and is answered soon
    except (OSError, OverflowError) as error:
        listener.close()
        is_taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        why = "taken" if is_taken else str(error)
        raise ArgumentError(
            f"explain: port {port} is {why}\n  Pass another, or --port 0 for any."
        ) from error
    return listener


def query_of(found: Explained) -> dict[str, str]:
    """Returns the query that asks for an explanation, with numbers that were passed."""
    query = found.setting.words()
    if found.seed:
        query["seed"] = str(found.seed)
    if found.names.count_from != 1:
        query["count_from"] = str(found.names.count_from)
    if found.values is None:
        query["show"] = LETTERS
    values = found.values or Values()
    for name in found.typed:
        query[name] = ",".join(map(repr, values[name].values()))
    return query


def _page(query: Mapping[str, str]) -> Response:
    from starlette.responses import HTMLResponse

    known = {name: text for name, text in query.items() if name not in VIEW}
    view = {name: text for name, text in query.items() if name in VIEW}
    html = page(read_explanation(known), view=view, served=True)
    return HTMLResponse(html, headers={"Content-Security-Policy": _policy()})


def _nothing(query: Mapping[str, str]) -> Response:
    from starlette.responses import Response

    return Response(status_code=204)


def _policy() -> str:
    return policy(served=True) + "; frame-ancestors 'none'"


def _data(query: Mapping[str, str]) -> Response:
    from starlette.responses import Response

    told = document(read_explanation(query), texts=False)
    text = json.dumps(told, separators=(",", ":"), ensure_ascii=False)
    return Response(text, media_type="application/json")


def _told(
    message: str, status_code: int, headers: Mapping[str, str] | None = None
) -> Response:
    from starlette.responses import JSONResponse

    return JSONResponse({"error": message}, status_code, headers)


def _answering(
    answer: Callable[[Mapping[str, str]], Response],
    refuse: Callable[..., Response],
) -> Callable[[Request], Response]:
    """Returns the endpoint that answers a query, with an error as a message.

    It is no coroutine, so that one long answer does not keep others waiting.
    """

    def endpoint(request: Request) -> Response:
        if _is_foreign(request):
            message = "explain: asked by another site\n  Open the page itself."
            return refuse(message, status_code=403)
        try:
            return answer(_query(request))
        except Rot180Error as error:
            return refuse(str(error), status_code=400)

    return endpoint


def _is_foreign(request: Request) -> bool:
    """Whether another site's page asks, not ours or a person."""
    site = request.headers.get("sec-fetch-site", "none")
    mode = request.headers.get("sec-fetch-mode", "navigate")
    return site not in ("none", "same-origin") and mode != "navigate"


async def _refused(request: Request, error: Exception) -> Response:
    """No such page, or another method than GET."""
    status = getattr(error, "status_code", 400)
    return _told(f"explain: {getattr(error, 'detail', error)}", status)


async def _fault(request: Request, error: Exception) -> Response:
    """A fault of ours: a message, and no traceback to the browser."""
    message = "explain: this is a fault of rot180; please report it."
    return _told(message, 500, _HEADERS)


def _query(request: Request) -> dict[str, str]:
    """Returns the query, every name once."""
    if len(request.url.query) > _MOST_QUERY:
        raise ArgumentError(
            f"explain: the address has {len(request.url.query)} characters, at most "
            f"{_MOST_QUERY} are read\n  Use a smaller input."
        )
    items = request.query_params.multi_items()
    for name, count in Counter(name for name, _ in items).items():
        if count > 1:
            raise ArgumentError(f"explain: {name[:40]!r} is given twice\n  Give one.")
    return dict(items)


def read_explanation(query: Mapping[str, str]) -> Explained:
    """Returns the explanation that a query asks for.

    With `fit=true` numbers that do not fit their tensor are drawn anew; else they are
    an error.

    Raises:
        Rot180Error: A name is not known, a text cannot be read, or it is too large.
    """
    known = {p.name for p in PARAMETERS}
    what = setting(**{n: t for n, t in query.items() if n in known})
    others = {n: t for n, t in query.items() if n not in known}
    seed = _seed(others.pop("seed", "0"))
    count_from = _choice(others, "count_from", {"1": 1, "0": 0})
    fits = _choice(others, "fit", {"false": 0, "true": 1})
    arrays = {name: _numbers(name, text) for name, text in others.items()}
    if fits:
        plain = explained(what, LETTERS)
        sizes = {name: plain.tensors[name].size for name in plain.given}
        arrays = {n: a for n, a in arrays.items() if len(a) == sizes.get(n)}
    return explained(what, arrays or RANDOM, seed=seed, count_from=count_from)


def _seed(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ArgumentError(
            f"explain: seed is {text[:40]!r}\n  Use an integer from 0 on."
        )
    return int(text)


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
