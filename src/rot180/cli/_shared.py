"""What several commands share: kinds of arguments, and errors as messages."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import click

from rot180.errors import Rot180Error

__all__ = ["INTERRUPTED", "Positive", "errors_as_messages"]

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


@contextmanager
def errors_as_messages() -> Iterator[None]:
    """An error of ours becomes one message and exit code 1, without a traceback."""
    try:
        yield
    except Rot180Error as error:
        raise click.ClickException(str(error)) from error
