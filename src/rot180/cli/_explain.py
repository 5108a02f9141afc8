"""`rot180 explain`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from rot180 import explain as explaining
from rot180.cli._explain_asked import Asked
from rot180.cli._explain_files import FILES, file_options, try_files, write_files
from rot180.cli._shared import errors_as_messages, make_console
from rot180.errors import ArgumentError

if TYPE_CHECKING:
    from rich.console import Console

    from rot180.explain import Cell, Parameter, Pass, Printer

__all__ = ["explain"]

_PASSES: Final = (
    "forward", "weight_grad", "input_grad", "bias_grad", "pool", "relu", "loss",
)  # fmt: skip
# The layer that a pass means, where none is named.
_LAYERS: Final = {"pool": "max_pool", "relu": "relu", "loss": "network"}
F = TypeVar("F", bound=Callable[..., Any])


class Written(click.ParamType[Any]):
    """A parameter of what is explained, as a text such as `5x5` or `1:2,0`."""

    def __init__(self, known: Parameter) -> None:
        """Reads texts as `known` does."""
        self.known = known
        self.name = known.form.name

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        try:
            return self.known.take(value)
        except ArgumentError as error:
            self.fail(str(error).removeprefix("explain: "), param, ctx)


def _parameters(command: F) -> F:
    """Adds an option for each parameter of what is explained."""
    for known in reversed(explaining.PARAMETERS):
        if len(known.choices) != 1:
            command = _option(known)(command)
    return command


def _option(known: Parameter) -> Callable[[F], F]:
    name = known.name.replace("_", "-")
    if known.form.name == "flag":
        return click.option(f"--{name}/--no-{name}", default=None, help=known.help)
    kind = click.Choice(known.choices) if known.choices else Written(known)
    metavar = None if known.choices else known.example.partition(", or")[0]
    return click.option(f"--{name}", type=kind, metavar=metavar, help=known.help)


@click.command()
@_parameters
@click.option(
    "--pass",
    "pass_name",
    type=click.Choice(_PASSES),
    help="Show this pass alone, in full. pool and relu explain these layers.",
)
@click.option(
    "--cell",
    metavar="ROW,COLUMN",
    help="Show this number alone, with what it is made of, such as 1,2; with several "
    "channels their numbers stand before.",
)
@click.option(
    "--values",
    default="random",
    show_default=True,
    metavar="FILE|random|letters",
    help="The numbers: random small integers, none (letters only), or a file of "
    "NumPy's: .npy holds X, .npz holds X, F, dO by name.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Decides the random numbers.",
)
@click.option(
    "--count-from",
    type=click.IntRange(0, 1),
    default=1,
    show_default=True,
    help="What rows and columns count from: 1 as in mathematics, X11, or 0 as in "
    "Python, X[0, 0].",
)
@click.option(
    "--language",
    type=click.Choice(explaining.LANGUAGES),
    help="English or 简体中文.  [default: en; of the page, what the browser prefers]",
)
@click.option(
    "--step",
    is_flag=True,
    help="One number at a time: Enter goes on, b goes back, q ends.",
)
@click.option(
    "--prove",
    is_flag=True,
    help="Hold every gradient against SymPy's derivative of the error (needs SymPy).",
)
@file_options
@click.option(
    "--serve",
    is_flag=True,
    help="Serve the page on this machine, with controls for all of the above, until "
    "Ctrl-C (needs Starlette and uvicorn).",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8180,
    show_default=True,
    help="Where to serve; 0 for any port that is free.",
)
def explain(
    pass_name: str | None,
    cell: str | None,
    values: str,
    seed: int,
    count_from: int,
    language: explaining.Language | None,
    step: bool,
    prove: bool,
    serve: bool,
    port: int,
    **options: Any,
) -> None:
    """See the backward pass of a convolution, number by number.

    Without options it walks through the smallest example there is, a 3x3 input X and a
    2x2 filter F: the forward pass O, the gradient dF of the filter, and the gradient dX
    of the input, which slides the filter, rotated by 180 degrees, over the padded
    gradient dO of the output.

    \b
    Examples:
      rot180 explain
      rot180 explain --input 5x5 --kernel 3x3 --stride 2 --padding 1
      rot180 explain --input 7x7 --kernel 3x3 --pass input_grad --cell 2,3
      rot180 explain --pass input_grad --step
      rot180 explain --pass pool --input 4x4 --kernel 3x3 --stride 1
      rot180 explain --layer network --layers conv:3x3,relu,max_pool:2x2
      rot180 explain --serve
      rot180 explain --input 5x5 --kernel 3x3 --html page.html

    No kernel is compiled or run: what is shown is read off the formulas that the
    kernels are compiled from.
    """  # noqa: D301
    files = {
        name: path
        for name in FILES
        if (path := options.pop(f"{name}_file")) is not None
    }
    given = {name: value for name, value in options.items() if value is not None}
    if pass_name in _LAYERS and not {"layer", "layers"} & given.keys():
        given["layer"] = _LAYERS[pass_name]
    if step and (files or prove or serve):
        raise click.UsageError("--step goes through the numbers on the terminal alone.")
    try_files(files, is_part=bool(pass_name or cell))
    with errors_as_messages():
        found = explaining.explain(
            values=_values(values), seed=seed, count_from=count_from, **given
        )
        asked = Asked.of(found, pass_name, cell, language)
        if files:
            write_files(files, asked)
        if prove:
            _prove(asked)
        if serve:
            explaining.serve(found, view=asked.view, port=port, announce=_serving)
        if not (files or prove or serve):
            _show(asked, step=step, brief=not pass_name)


def _serving(address: str) -> None:
    click.echo(f"{address}\nOpen this address in a browser. Ctrl-C ends it.")


def _prove(asked: Asked) -> None:
    """Prints how many numbers of each gradient are the derivative of the error."""
    proofs = explaining.prove(asked.found, asked.passes)
    if not proofs:
        raise click.UsageError("--prove needs a pass that gives a gradient.")
    for proof in proofs:
        count = sum(proof.holds.values())
        click.echo(
            f"{proof.out}: {count} of {len(proof.holds)} are SymPy's derivative of E"
        )
    wrong = [name for p in proofs for name, holds in p.holds.items() if not holds]
    if wrong:
        raise click.ClickException(f"not the derivative of E: {', '.join(wrong)}")


def _values(text: str) -> Any:
    if text in ("random", "letters"):
        return text
    return explaining.read_file(Path(text))


def _show(asked: Asked, *, step: bool, brief: bool) -> None:
    console, cells = make_console(highlight=False), asked.cells
    printer = explaining.printer(asked.found, console, asked.language or "en")
    if step:
        cells = cells or tuple((p, e.cell) for p in asked.passes for e in p.equations)
        _step(printer, cells, waits=_waits(console) and len(cells) > 1)
    elif cells:
        for part, cell in cells:
            printer.heading(part)
            printer.cell(part, cell)
    else:
        printer.everything(asked.passes, brief=brief)


def _waits(console: Console) -> bool:
    """Whether somebody is there to press keys."""
    return console.is_terminal and sys.stdin.isatty()


def _step(
    printer: Printer, cells: tuple[tuple[Pass, Cell], ...], *, waits: bool
) -> None:
    """Prints one number after another, as keys are pressed; all where none can be."""
    at, last = 0, None
    while at < len(cells):
        part, cell = cells[at]
        if part is not last:
            printer.heading(part)
        click.echo(f"[{at + 1}/{len(cells)}]")
        printer.cell(part, cell)
        keys = explaining.say("keys", printer.language)
        click.echo(keys if waits and last is None else "")
        last = part
        move = _pressed() if waits else 1
        if move is None:
            return
        at = max(0, at + move)


def _pressed() -> int | None:
    """Waits for a key; returns 1 for on, -1 for back, None to end."""
    while True:
        try:
            key = click.getchar().lower()
        except (KeyboardInterrupt, EOFError):
            return None
        if key in ("\r", "\n", " ", "n", "\x1b[c"):
            return 1
        if key in ("b", "p", "\x1b[d"):
            return -1
        if key in ("q", "\x1b"):
            return None
