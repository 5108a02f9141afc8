"""Where `rot180 explain` writes what is asked for: files, or the terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from rot180.cli._deliver import try_target

if TYPE_CHECKING:
    from rot180.explain import Cell, Explanation, Language, Pass

__all__ = ["file_options", "try_files", "write_files"]

F = TypeVar("F", bound=Callable[..., Any])

# By option: what its file holds.
_FILES: Final = {
    "html": "the page, one file that needs nothing else: the numbers can be changed",
    "svg": "a picture of the passes, step by step",
    "latex": "the equations, for a document that loads amsmath (needs SymPy)",
    "markdown": "words, numbers and equations",
    "json": "every number and every term, see the documentation",
}


def file_options(command: F) -> F:
    """Adds an option for each kind of file."""
    for name, what in reversed(_FILES.items()):
        command = click.option(
            f"--{name}",
            f"{name}_file",
            type=click.Path(dir_okay=False, allow_dash=True),
            metavar="FILE",
            help=f"Write {what}; - prints it instead.",
        )(command)
    return command


def try_files(files: Mapping[str, str]) -> None:
    """Raises a usage error where something cannot be written."""
    printed = [f"--{name}" for name, path in files.items() if path == "-"]
    if len(printed) > 1:
        raise click.UsageError(f"{' and '.join(printed)} cannot both print.")
    for name, path in files.items():
        if path != "-":
            place = Path(path)
            parent = place if place.exists() else place.absolute().parent
            try_target(f"--{name}", parent)


def write_files(
    files: Mapping[str, str],
    found: Explanation,
    passes: Sequence[Pass],
    cells: Sequence[tuple[Pass, Cell]],
    language: Language | None,
) -> None:
    """Writes what is asked for; says where, but for what is printed."""
    from rot180 import explain as explaining

    words = language or "en"

    write: dict[str, Callable[[], str]] = {
        "html": lambda: explaining.page(found, language=language),
        "svg": lambda: explaining.svg(found, passes, cells, words),
        "latex": lambda: explaining.to_latex(found, passes, cells, words),
        "markdown": lambda: explaining.to_markdown(found, passes, cells, words),
        "json": lambda: explaining.to_json(found),
    }
    texts = {name: write[name]() for name in files}
    for name, path in files.items():
        if path == "-":
            click.echo(texts[name], nl=False)
            continue
        try:
            Path(path).write_text(texts[name], encoding="utf-8")
        except OSError as error:
            raise click.ClickException(f"{path} cannot be written: {error}") from error
        click.echo(f"wrote {path}", err=True)
