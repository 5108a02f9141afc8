"""What several commands share: kinds of arguments, and errors as messages."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import click

from rot180.errors import Rot180Error

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "INTERRUPTED",
    "Commands",
    "Place",
    "Positive",
    "errors_as_messages",
    "make_console",
]

INTERRUPTED: Final = 130  # what a shell expects of a program ended by Ctrl-C


class Positive(click.ParamType[float]):
    """A finite number above zero."""

    name = "number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            number = float(value)
        except ValueError:
            self.fail(f"{value!r} is not a number.", param, ctx)
        if not (math.isfinite(number) and number > 0):
            self.fail(f"{value} is not a finite number above 0.", param, ctx)
        return number


class Place(click.Path):
    """A path that names something: an empty one would mean the current folder."""

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        if not os.fspath(value):
            what = "file" if self.file_okay else "folder; use . for the one you are in"
            self.fail(f"it names no {what}.", param, ctx)
        return super().convert(value, param, ctx)


class Commands(click.Group):
    """Commands whose output may be closed, or go to a full disk."""

    def main(self, *args: Any, **named: Any) -> Any:
        """Runs a command; what the system refuses is a message and status 2."""
        if sys.stdout is None:  # closed by whoever started us
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        try:
            try:
                return super().main(*args, **named)
            finally:
                sys.stdout.flush()  # here, not where nobody can catch it
        except OSError as error:
            _drop_output()
            with suppress(OSError):
                click.echo(f"Error: {error}", err=True)
            sys.exit(2)


def _drop_output() -> None:
    """Lets what cannot be written go, or Python would try again as it ends."""
    stream = sys.__stdout__
    if stream is not None and sys.stdout is stream:
        with suppress(OSError), open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())


# Narrower, no equation can be folded; wider, lines would be filled with spaces.
_LEAST_WIDTH, _MOST_WIDTH = 20, 1000


def make_console(**options: Any) -> Console:
    """A console as wide as the terminal, within reason, whatever `COLUMNS` says."""
    from rich.console import Console

    console = Console(**options)
    console.width = min(max(console.width, _LEAST_WIDTH), _MOST_WIDTH)
    return console


@contextmanager
def errors_as_messages() -> Iterator[None]:
    """An error of ours becomes one message and exit code 1, without a traceback."""
    try:
        yield
    except Rot180Error as error:
        raise click.ClickException(str(error)) from error
