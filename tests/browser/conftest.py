"""A real browser, the page served on this machine, and saved pages."""

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rot180 import explain

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium; the tests are skipped where it or Playwright is not installed."""
    playwright = pytest.importorskip(
        "playwright.sync_api",
        reason="drives a browser: pip install playwright, apt-get install chromium",
    )
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield found
        found.close()


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """The page, served on this machine for as long as the tests run."""
    uvicorn = pytest.importorskip("uvicorn", reason="serves the page")
    config = uvicorn.Config(explain.application(), port=0, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.02)
    (socket,) = server.servers[0].sockets
    yield f"http://127.0.0.1:{socket.getsockname()[1]}/"
    server.should_exit = True
    thread.join(10)


@dataclass
class Visit:
    """A browser's page, and what it said and asked for meanwhile."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def go(self, url: str) -> Any:
        """Opens an address; returns the page."""
        self.page.goto(url)
        return self.page


@pytest.fixture
def visit(browser: Any) -> Iterator[Visit]:
    """A page with nothing to complain of: no error in the console, none thrown."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, locale="en-US", color_scheme="light"
    )
    found = Visit(context.new_page())
    found.page.set_default_timeout(10_000)
    found.page.on("console", lambda message: _note(found, message))
    found.page.on("pageerror", lambda error: found.complaints.append(str(error)))
    found.page.on("request", lambda request: found.requests.append(request.url))
    yield found
    context.close()
    assert found.complaints == []


def _note(found: Visit, message: Any) -> None:
    # A refused request is written to the console by the browser itself.
    is_refusal = "status of 400" in message.text
    if message.type in ("error", "warning") and not is_refusal:
        found.complaints.append(message.text)


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., str]:
    """Saves the page of an explanation; returns the address of the file."""

    def save(**parameters: Any) -> str:
        path = tmp_path / "page.html"
        path.write_text(explain.explain(**parameters).html(), encoding="utf-8")
        return path.as_uri()

    return save
