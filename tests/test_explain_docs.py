"""The pages about `rot180 explain`: every output and figure is what a command gives.

A block of `bash` is run; the block of `text` behind it holds what it prints, and the
pictures that it writes are those in `figures`. After a wanted change:
ROT180_UPDATE_GOLDEN=1 pytest tests/test_explain_docs.py, then read the diff.
"""

import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from rot180 import explain
from rot180.cli import main

DOCS = Path(__file__).parents[1] / "docs"
FIGURES = DOCS / "explain" / "figures"
PAGES = sorted(
    [*(DOCS / "explain").glob("*.md"), *(DOCS / "howto").glob("explain*.md")]
)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FIGURE = re.compile(r"!\[[^\]]+\]\(figures/([\w.-]+)\)")
# Commands that are shown and not run: they serve, wait for keys, or install.
NOT_RUN = ("--serve", "--step", "pip install")
UPDATE = bool(os.environ.get("ROT180_UPDATE_GOLDEN"))


def _run(command: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Returns what a command prints, run in a folder."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "88")
    assert command.startswith("rot180 explain"), command
    result = CliRunner().invoke(main, command.removeprefix("rot180 "))
    assert result.exit_code == 0, result.output
    return "".join(f"{row.rstrip()}\n" for row in result.stdout.splitlines())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_page_shows_what_the_commands_give(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sympy", reason="some commands print LaTeX")
    text = page.read_text(encoding="utf-8")
    for block in reversed(list(BLOCK.finditer(text))):
        language, shown = block.groups()
        if language != "text":
            continue
        printed = _printed(text[: block.start()], tmp_path, monkeypatch)
        if UPDATE:
            text = text[: block.start(2)] + printed + text[block.end(2) :]
        else:
            assert shown == printed
    if UPDATE:
        page.write_text(text, encoding="utf-8")
    _run_the_rest(text, tmp_path, monkeypatch)
    for name in FIGURE.findall(text):
        drawn = (tmp_path / name).read_text(encoding="utf-8")
        if UPDATE:
            (FIGURES / name).write_text(drawn, encoding="utf-8")
        assert (FIGURES / name).read_text(encoding="utf-8") == drawn


def _printed(before: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs the last block of commands in a text."""
    commands = [block[2] for block in BLOCK.finditer(before) if block[1] == "bash"][-1]
    return "".join(
        _run(command, folder, monkeypatch) for command in commands.splitlines()
    )


def _run_the_rest(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs every command that does not wait for somebody."""
    for block in BLOCK.finditer(text):
        if block[1] != "bash":
            continue
        for command in block[2].splitlines():
            if not any(word in command for word in NOT_RUN):
                _run(command.split("  #")[0], folder, monkeypatch)


def test_both_languages_show_the_same() -> None:
    english, chinese = (
        (DOCS / "explain" / name).read_text(encoding="utf-8")
        for name in ("by-hand.md", "by-hand.zh.md")
    )
    chinese = chinese.replace(" --language zh", "").replace(".zh.svg", ".svg")
    assert [b[2] for b in BLOCK.finditer(english) if b[1] != "text"] == [
        b[2] for b in BLOCK.finditer(chinese) if b[1] != "text"
    ]
    assert FIGURE.findall(english) == FIGURE.findall(chinese)


def test_every_figure_is_shown() -> None:
    shown = {name for page in PAGES for name in FIGURE.findall(page.read_text("utf-8"))}
    assert {path.name for path in FIGURES.iterdir()} == shown


def test_the_article_is_credited() -> None:
    for name in ("article.md", "by-hand.md", "by-hand.zh.md"):
        text = " ".join((DOCS / "explain" / name).read_text(encoding="utf-8").split())
        assert "Forward And Backpropagation in Convolutional Neural Network" in text
        assert "2017csm1006" in text


def test_the_erratum_has_the_right_equations() -> None:
    text = (DOCS / "explain" / "article.md").read_text(encoding="utf-8")
    found = explain.explain(values="letters")
    for equation in found.passes[1].equations:
        assert text.count(explain.line(equation, found)) >= 2  # the output, the erratum


def test_the_how_to_names_every_parameter() -> None:
    text = (DOCS / "howto" / "explain.md").read_text(encoding="utf-8")
    for known in explain.PARAMETERS:
        if len(known.choices) != 1:
            assert f"`--{known.name.replace('_', '-')}`" in text, known.name
