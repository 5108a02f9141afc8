"""How soon the page answers, in a real browser.

    python -m benchmarks.bench_explain --json benchmarks/results/explain.json

Served: from a change (a parameter, or a typed number) to the frame that shows the right
numbers, on a 7x7 input and a 3x3 filter. Saved: from opening the file to the first
contentful paint. Before a change is timed, its answer is compared with `explain`'s.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import click

from rot180 import explain

FLAGS: Final = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
GIVEN: Final = ("X", "F", "dO")
# What is changed, and to what; a control of the page, or a cell.
CHANGES: Final = (
    ("set-stride-0", "2"), ("set-stride-1", "2"), ("set-padding-0-0", "1"),
    ("set-padding-0-1", "1"), ("set-padding-1-0", "1"), ("set-padding-1-1", "1"),
    ("set-dilation-0", "2"), ("set-dilation-1", "2"), ("X11", "9"), ("F22", "-8"),
    ("dO11", "7"), ("set-dilation-0", "1"), ("set-dilation-1", "1"), ("X77", "1.5"),
    ("set-stride-0", "1"), ("set-stride-1", "1"), ("F33", "6"), ("set-input-0", "6"),
    ("set-input-0", "7"), ("X44", "3"),
)  # fmt: skip
# Every number that the page shows, tensor by tensor.
_SHOWN = """() => [...document.querySelectorAll("#tensors [data-id]")]
    .sort((one, other) => one.dataset.id - other.dataset.id)
    .map((cell) => (cell.value ?? cell.textContent).replace("\u2212", "-"))"""
# Makes a change; resolves, with milliseconds, when the right numbers are painted.
_CHANGE = (
    """([name, value, right]) => new Promise((resolve) => {
    const isCell = !name.startsWith("set-");
    const input = isCell
        ? document.querySelector(`#tensors [aria-label^="${name},"]`)
        : document.getElementById(name);
    input.value = value;
    const begin = performance.now();
    const painted = () => requestAnimationFrame(() => setTimeout(
        () => resolve(performance.now() - begin)));
    const shown = """
    + _SHOWN
    + """;
    new MutationObserver((_, watch) => {
        if (right !== null && String(shown()) !== String(right)) return;
        watch.disconnect();
        painted();
    }).observe(document.getElementById("tensors"),
        {attributes: true, childList: true, subtree: true, characterData: true});
    input.dispatchEvent(new Event(isCell ? "input" : "change", {bubbles: true}));
})"""
)
_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"


@click.command()
@click.option("--json", "json_file", type=click.Path(path_type=Path))
def main(json_file: Path | None) -> None:
    """Measures the page, served and saved."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        found = {"served": _served(browser), "saved": _saved(browser)}
        browser.close()
    text = json.dumps(found, indent=2) + "\n"
    click.echo(text, nl=False)
    if json_file is not None:
        json_file.write_text(text, encoding="utf-8")


def _served(browser: Any) -> dict[str, Any]:
    with _server() as address:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{address}?input=7x7&kernel=3x3&pass=dX")
        right = [_checked(page, *change) for change in CHANGES]
        page.goto(f"{address}?input=7x7&kernel=3x3&pass=dX")
        times = []
        for change, numbers in zip(CHANGES, right, strict=True):
            page.wait_for_timeout(300)  # the filter has come to rest
            times.append(page.evaluate(_CHANGE, [*change, numbers]))
        page.close()
    parameters = [
        t
        for t, (name, _) in zip(times, CHANGES, strict=True)
        if name.startswith("set-")
    ]
    return {
        "milliseconds": statistics.median(times),
        "longest": max(times),
        "changes": len(times),
        "milliseconds_of_parameters": statistics.median(parameters),
    }


def _checked(page: Any, name: str, value: str) -> list[str]:
    """Makes a change, not timed; returns what is shown if `explain` says the same."""
    page.evaluate(_CHANGE, [name, value, None])
    page.wait_for_timeout(500)  # the address follows
    query = dict(parse_qsl(urlsplit(page.url).query))
    values = {
        tensor: list(map(float, query[tensor].split(",")))
        for tensor in GIVEN
        if tensor in query
    }
    known = [parameter.name for parameter in explain.PARAMETERS]
    words = {word: query[word] for word in known if word in query}
    found = explain.explain(values=values, **words)
    told = explain.document(found)["tensors"]
    right = [f"{number:.6g}" for tensor in told for number in tensor["values"]]
    shown: list[str] = page.evaluate(_SHOWN)
    if shown != right:
        raise SystemExit(f"{name} = {value}: the page shows wrong numbers")
    return shown


def _saved(browser: Any) -> dict[str, Any]:
    html = explain.explain(input=(7, 7), kernel=(3, 3)).html()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.html"
        path.write_text(html, encoding="utf-8")
        times = [_paint(browser, path.as_uri()) for _ in range(5)]
    return {
        "milliseconds": statistics.median(times),
        "longest": max(times),
        "visits": len(times),
        "bytes": len(html.encode()),
    }


def _paint(browser: Any, url: str) -> float:
    context = browser.new_context()
    page = context.new_page()
    page.goto(url)
    while (painted := page.evaluate(_PAINT)) is None:
        page.wait_for_timeout(20)
    context.close()
    return float(painted)


@contextmanager
def _server() -> Iterator[str]:
    """`rot180 explain --serve`, in a process of its own as for a user."""
    command = "from rot180.cli import main; main(prog_name='rot180')"
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", command, "explain", "--serve", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(10)


if __name__ == "__main__":
    main()
