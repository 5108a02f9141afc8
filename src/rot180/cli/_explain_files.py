"""Where `rot180 explain` writes what is asked for: files, or the terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from rot180.cli._deliver import try_file
from rot180.cli._shared import Place

if TYPE_CHECKING:
    from rot180.cli._explain_asked import Asked

__all__ = ["FILES", "file_options", "try_files", "write_files"]

F = TypeVar("F", bound=Callable[..., Any])

# By option: what its file holds.
FILES: Final = {
    "html": "the page, one file that needs nothing else: the numbers can be changed",
    "svg": "a picture of the passes, step by step",
    "latex": "the equations, for a document that loads amsmath (needs SymPy)",
    "mathml": "the equations in letters as MathML, in a plain page (needs SymPy)",
    "markdown": "words, numbers and equations",
    "json": "every number and every term, see the documentation",
}


def file_options(command: F) -> F:
    """Adds an option for each kind of file."""
    for name, what in reversed(FILES.items()):
        command = click.option(
            f"--{name}",
            f"{name}_file",
            type=Place(dir_okay=False, allow_dash=True),
            metavar="FILE",
            help=f"Write {what}; - prints it instead.",
        )(command)
    return command


def try_files(files: Mapping[str, str], *, is_part: bool) -> None:
    """Raises a usage error where something cannot be written.

    Args:
        files: Where to, by option.
        is_part: Whether a pass or a number alone is asked for.
    """
    options = [f"--{name}" for name in files]
    for path in files.values():
        same = [o for o, p in zip(options, files.values(), strict=True) if p == path]
        if len(same) > 1:
            where = "print" if path == "-" else f"write {path}"
            raise click.UsageError(f"{' and '.join(same)} cannot both {where}.")
    if "json" in files and is_part:
        raise click.UsageError("--json holds all passes; leave out --pass and --cell.")
    for option, path in zip(options, files.values(), strict=True):
        try_file(option, path)


def write_files(files: Mapping[str, str], asked: Asked) -> None:
    """Writes what is asked for; says where, but for what is printed."""
    texts = {name: _text(name, asked) for name in files}
    for name, path in files.items():
        if path == "-":
            click.echo(texts[name], nl=False)
            continue
        try:
            Path(path).write_text(texts[name], encoding="utf-8")
        except OSError as error:
            raise click.ClickException(f"{path} cannot be written: {error}") from error
        click.echo(f"wrote {path}", err=True)


def _text(name: str, asked: Asked) -> str:
    from rot180 import explain as explaining

    found, part = asked.found, (asked.passes, asked.cells, asked.language or "en")
    if name == "html":
        return explaining.page(found, view=asked.view)
    if name == "json":
        return explaining.to_json(found)
    if name == "svg":
        return explaining.svg(found, *part)
    if name == "latex":
        return explaining.to_latex(found, *part)
    if name == "mathml":
        return explaining.to_mathml(found, *part)
    return explaining.to_markdown(found, *part)
