"""Where a report of `rot180 check` goes: files, a folder, and the terminal."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rot180.cli._shared import make_console

if TYPE_CHECKING:
    from rot180.check import Report

__all__ = ["Targets", "try_file", "try_targets"]


def try_targets(
    json_file: str | None, markdown_file: str | None, folder: Path | None
) -> None:
    """Raises a usage error where nothing can be written, not minutes later."""
    for option, file in (("--json", json_file), ("--markdown", markdown_file)):
        if file is not None:
            try_file(option, file)
    if folder is not None:
        ancestors = (folder.absolute(), *folder.absolute().parents)
        _try_target("--reproductions", next(p for p in ancestors if p.exists()))


def try_file(option: str, file: str) -> None:
    """Raises a usage error if a file cannot be written; `-` is standard output."""
    if file == "-":
        return
    path = Path(file)
    _try_target(option, path if path.exists() else path.absolute().parent)


def _try_target(option: str, place: Path) -> None:
    """Raises a usage error if a file, or into a folder, cannot be written."""
    hint = f"'{option}'"
    if not place.exists():
        raise click.BadParameter(
            f"the folder {str(place)!r} does not exist; make it first.",
            param_hint=hint,
        )
    is_folder = place.is_dir()
    if not is_folder and option == "--reproductions":
        raise click.BadParameter(f"{str(place)!r} is not a folder.", param_hint=hint)
    if not os.access(place, os.W_OK | (os.X_OK if is_folder else 0)):
        raise click.BadParameter(
            f"{str(place)!r} is not writable; choose another place.", param_hint=hint
        )


@dataclass
class Targets:
    """Where a report goes: files, a folder, and standard output.

    Attributes:
        json_file: Where the JSON goes, besides what is printed.
        markdown_file: Where the Markdown goes, in the same way.
        folder: Where the reproductions go.
        form: What is printed: `text`, `json`, `markdown`, `junit` or `github`.
        brief: Whether a line for each finding is enough of the text.
        failed: Whether something could not be written.
    """

    json_file: str | None
    markdown_file: str | None
    folder: Path | None
    form: str = "text"
    brief: bool = False
    failed: bool = False

    def deliver(self, report: Report, *, diagnosis: bool) -> int:
        """Writes the report everywhere it is wanted; returns the exit status.

        A file that cannot be written costs the status, but not the other files.
        """
        from rot180 import check as checking

        files: tuple[str, ...] = ()
        with self._noting():
            if self.folder is not None:
                files = checking.write_reproductions(report, self.folder)
        texts: dict[str, Callable[[], str]] = {
            "text": lambda: self._page(report, diagnosis, files),
            "json": lambda: checking.to_json(report) + "\n",
            "markdown": lambda: checking.to_markdown(report, files),
            "junit": lambda: checking.to_junit(report) + "\n",
            "github": lambda: checking.to_github(report) + "\n",
        }
        for form, file in (("json", self.json_file), ("markdown", self.markdown_file)):
            with self._noting():
                if file not in (None, "-"):
                    Path(str(file)).write_text(texts[form](), encoding="utf-8")
        with self._noting():
            click.echo(texts[self.form](), nl=False)
        return 2 if self.failed else report.status

    def _page(self, report: Report, diagnosis: bool, files: tuple[str, ...]) -> str:
        """Returns the report as it is printed, as wide as the terminal."""
        from rich.console import Console

        from rot180 import check as checking

        text = io.StringIO()
        page = Console(file=text, width=make_console().width, color_system=None)
        checking.show(report, page, diagnosis=diagnosis, files=files, brief=self.brief)
        return text.getvalue()

    @contextmanager
    def _noting(self) -> Iterator[None]:
        """Says what could not be written, and goes on."""
        try:
            yield
        except OSError as error:
            self.failed = True
            click.echo(f"Error: the report cannot be written: {error}", err=True)
