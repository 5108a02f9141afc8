"""The pages on `rot180 check`: the how-to can be followed, the reference is whole."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers import child_environment, python

from rot180.check.cases._corners import corners
from rot180.check.cases._outputs import OUTPUTS
from rot180.check.cases._profiles import every_cell
from rot180.check.judge._laws import LAWS
from rot180.cli import main

HOWTO = Path(__file__).parents[1] / "docs" / "howto"
PAGES = ("check.md", "check.zh.md")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# "Save this as `my_conv.py`:", at the end of what stands before a block.
FILE = re.compile(r"`([\w.]+)`[:：]\s*$")
COMMANDS = {
    "rot180": python("-c", "from rot180.cli import main; main(prog_name='rot180')"),
    "pytest": python("-m", "pytest", "-p", "no:cacheprovider"),
}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language, its text, the file to save it as."""

    language: str
    text: str
    file: str | None


def _blocks(page: str) -> list[Block]:
    return list(_each_block((HOWTO / page).read_text(encoding="utf-8")))


def _each_block(page: str) -> Iterator[Block]:
    end = 0
    for fence in FENCE.finditer(page):
        file = FILE.search(page, end, fence.start())
        yield Block(fence[1], fence[2], file[1] if file else None)
        end = fence.end()


def _run(block: Block, folder: Path) -> str:
    """Runs a block's command in the folder; returns what it prints, last its status."""
    name, *arguments = shlex.split(block.text)
    done = subprocess.run(
        [*COMMANDS[name], *arguments],
        cwd=folder,
        env=child_environment(COLUMNS="80"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode in (0, 1), done.stderr
    if name == "rot180":
        assert f"\nexit status {done.returncode}: " in done.stdout
    return done.stdout


def _mend(file: Path, diff: str) -> None:
    """Replaces the line that is taken out by the one that is put in."""
    before, after = (line[1:] + "\n" for line in diff.splitlines())
    text = file.read_text(encoding="utf-8")
    assert text.count(before) == 1
    file.write_text(text.replace(before, after), encoding="utf-8")


def _missing(excerpt: str, printed: str) -> str | None:
    """Returns the first line shown that begins no line printed after the one before.

    `...` stands for anything.
    """
    rest = iter(printed.splitlines())
    for line in excerpt.splitlines():
        shown = re.compile(".*".join(map(re.escape, line.split("..."))))
        if not any(shown.match(came) for came in rest):
            return line
    return None


def test_the_languages_show_the_same_blocks() -> None:
    english, chinese = map(_blocks, PAGES)
    assert english == chinese


@pytest.mark.slow
def test_the_page_can_be_followed_from_an_empty_folder(tmp_path: Path) -> None:
    printed, shown = "", 0
    for block in _blocks(PAGES[0]):
        match block:
            case Block("python", text, str(file)):
                (tmp_path / file).write_text(text, encoding="utf-8")
            case Block("diff", text):
                _mend(tmp_path / "my_conv.py", text)
            case Block("bash"):
                printed = _run(block, tmp_path)
            case Block("text", text):
                assert _missing(text, printed) is None, printed
                shown += 1
            case _:
                pytest.fail(f"nothing is done with {block}")
    assert shown == 3
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report["status"] == 0
    assert "nothing wrong" in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_an_excerpt_that_was_not_printed_is_noticed() -> None:
    printed = " conv | 8 | 0 | right\ndx: not rotated (25 of 25)\n"
    assert _missing(" conv | ... | right\ndx: not rotated\n", printed) is None
    assert _missing(" conv | ... | wrong\n", printed) == " conv | ... | wrong"
    assert _missing("dx: not rotated\n conv\n", printed) == " conv"


def _reference_names() -> set[str]:
    """The names in the first cells of the tables of the reference page."""
    page = HOWTO.parent / "reference" / "check.md"
    rows = re.findall(
        r"^\|(.*?[^\\])\|", page.read_text(encoding="utf-8"), re.MULTILINE
    )
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def test_the_reference_names_every_function_and_feature() -> None:
    configurations = [*corners(), *every_cell()]
    features = {name for case in configurations for name in case.features()}
    named = _reference_names()
    assert features - named == set()
    assert set(OUTPUTS) - {name.partition("(")[0] for name in named} == set()


def test_the_reference_names_every_option() -> None:
    named = {name.split()[0] for name in _reference_names()}
    options = {name for p in main.commands["check"].params for name in p.opts}
    assert options - {"subject"} - named == set()


def test_the_reference_names_every_law() -> None:
    page = HOWTO.parent / "reference" / "check.md"
    rows = re.findall(
        r"^\| `(\w+)` \| (.+) \| (.+) \|$",
        page.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    shown = {(kind, name, text.replace("`", "")) for kind, name, text in rows}
    assert {(law.kind, law.name, law.text) for law in LAWS} <= shown
