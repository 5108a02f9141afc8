"""`rot180 check`."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

import click

from rot180.cli._deliver import Targets, try_targets
from rot180.cli._shared import Place, Positive, make_console
from rot180.errors import Rot180Error

__all__ = ["check"]

_FUNCTIONS: Final = (
    "conv", "conv_input_grad", "conv_weight_grad", "conv_backward",
    "conv_double_backward", "conv_transpose", "conv_transpose_backward", "max_pool",
    "max_pool_backward", "avg_pool", "avg_pool_backward", "relu", "relu_backward",
)  # fmt: skip

_OWN_FAULT: Final = (
    "Error: this is a fault of rot180, not of the code that was judged. Please report "
    "it with the lines above."
)


@click.command()
@click.argument("subject")
@click.option(
    "--profile",
    type=click.Choice(["quick", "full"]),
    default="quick",
    show_default=True,
    help="quick: the corners where real bugs were, then random configurations until "
    "--seconds have passed. full: every pair of values of all parameters; minutes.",
)
@click.option(
    "--shapes",
    type=Place(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Judge these convolutions instead of a profile: one a line, written as "
    "oneDNN's benchdnn does, such as g1mb8ic64ih56oc64oh56kh3ph1.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Decides the values and the random configurations. Another seed sees others.",
)
@click.option(
    "--seconds",
    type=Positive(),
    default=30.0,
    show_default=True,
    help="How long the quick profile looks. More time finds rarer mistakes.",
)
@click.option(
    "--timeout",
    type=Positive(),
    default=10.0,
    show_default=True,
    help="Seconds after which one call counts as hung and its process is ended.",
)
@click.option(
    "--dtype",
    "dtypes",
    type=click.Choice(["float32", "float64", "float16", "bfloat16"]),
    multiple=True,
    help="What to judge; may be repeated.  [default: float32 and float64]",
)
@click.option(
    "--arithmetic",
    type=click.Choice(["exact", "direct", "fft", "winograd", "tf32"]),
    help="How far numbers may be off. exact: not at all, as the data are small "
    "integers. The others are the error that this way of computing can make, worked "
    "out before each call.  [default: what SUBJECT declares in ARITHMETIC, else exact]",
)
@click.option(
    "--without",
    "lacking",
    multiple=True,
    metavar="FEATURE",
    help="What SUBJECT does not have, such as groups, dilation, 'rank 3' or "
    "'padding per side'; may be repeated. It is reported as not supported, never as "
    "passed.",
)
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(_FUNCTIONS),
    metavar="FUNCTION",
    help="Judge this function, such as conv_backward; may be repeated.",
)
@click.option(
    "--conv",
    metavar="NAME",
    help="The function or class in SUBJECT that is the convolution; nothing else is "
    "judged.  [default: what is named and called as one]",
)
@click.option(
    "--backward",
    metavar="NAME",
    help="The function in SUBJECT that gives its gradients.  [default: the name of the "
    "convolution with _backward, _grad, _bwd or _back]",
)
@click.option(
    "--no-diagnosis",
    is_flag=True,
    help="Do not say which known mistake it looks like; for teachers and graders.",
)
@click.option(
    "--strict",
    is_flag=True,
    help="Accepting input that means nothing, such as dilation 0, is wrong too.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "markdown", "junit", "github"]),
    help="What is printed: the table, or the report for a program, a page, a build's "
    "test results, or the changed lines on GitHub.  [default: text]",
)
@click.option(
    "--brief",
    is_flag=True,
    help="Print the verdict and a line for each finding, no more.",
)
@click.option(
    "--json",
    "json_file",
    type=Place(dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Write the report as JSON, too; - is --format json.",
)
@click.option(
    "--markdown",
    "markdown_file",
    type=Place(dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Write it as Markdown, for a build's summary; - is --format markdown.",
)
@click.option(
    "--reproductions",
    type=Place(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write a script for each finding, which needs only NumPy and SUBJECT, into "
    "this folder.  [default: none is written]",
)
def check(
    subject: str,
    profile: Literal["quick", "full"],
    shapes: Path | None,
    seed: int,
    seconds: float,
    timeout: float,
    dtypes: tuple[str, ...],
    arithmetic: str | None,
    lacking: tuple[str, ...],
    only: tuple[str, ...],
    conv: str | None,
    backward: str | None,
    no_diagnosis: bool,
    strict: bool,
    form: str | None,
    brief: bool,
    json_file: str | None,
    markdown_file: str | None,
    reproductions: Path | None,
) -> None:
    """Judge convolution code: are its results and gradients right?

    SUBJECT is a Python file (my_conv.py), a module (package.conv), a name in one
    (my_conv.py:Conv2d), or a ready adapter: torch, jax, scipy, onnx, convnet, rot180.
    It offers functions such as

    \b
      conv(x, w, b=None, *, stride, padding, dilation, groups) -> y
      conv_backward(dy, x, w, *, stride, padding, ...) -> (dx, dw, db)

    or conv_forward_naive and conv_backward_naive, or a class with forward and backward.
    Every result is compared with an oracle on small integers, on which sums are exact,
    so that no tolerance hides a mistake. What SUBJECT does not have, or answers with
    NotImplementedError, is reported as not supported. A wrong result is shown on the
    smallest configuration found, with its formula; --reproductions writes a script.

    \b
    Examples:
      rot180 check my_conv.py
      rot180 check my_conv.py --only conv_backward --without groups
      rot180 check my_code.py --conv apply_filters --backward filter_gradients
      rot180 check torch --dtype float64 --seed 7
      rot180 check my_winograd.py --arithmetic winograd --dtype float32
      rot180 check my_conv.py --shapes resnet.txt
      rot180 check my_conv.py --json report.json --reproductions found

    SUBJECT runs in a process of its own, so that a crash or a hang is a finding and no
    end. That is no sandbox: it can do all that you can.

    \b
    Exit status:
      0  everything was judged, and nothing is wrong
      1  something is wrong (with --strict, also accepting invalid input)
      2  the check could not run, or something was not judged
    """  # noqa: D301
    printed = _printed(form, json_file, markdown_file)
    if brief and printed != "text":
        raise click.UsageError(f"--brief shortens the text, not --format {printed}.")
    try_targets(json_file, markdown_file, reproductions)
    with _ending_with_2():
        from rot180 import check as checking

        with _check_progress() as progress:
            report = checking.check(
                subject,
                profile=profile,
                shapes=shapes,
                seed=seed,
                seconds=seconds,
                timeout=timeout,
                dtypes=dtypes or ("float32", "float64"),
                arithmetic=arithmetic,
                lacking=lacking,
                only=only,
                diagnosis=not no_diagnosis,
                strict=strict,
                conv=conv,
                backward=backward,
                progress=progress,
            )
        targets = Targets(json_file, markdown_file, reproductions, printed, brief)
        status = targets.deliver(report, diagnosis=not no_diagnosis)
    sys.exit(status)


def _printed(form: str | None, json_file: str | None, markdown_file: str | None) -> str:
    """Returns the one format that goes to standard output."""
    asked = {
        "--format": form,
        "--json -": "json" if json_file == "-" else None,
        "--markdown -": "markdown" if markdown_file == "-" else None,
    }
    given = {option: printed for option, printed in asked.items() if printed}
    if len(set(given.values())) > 1:
        raise click.UsageError(f"{' and '.join(given)} cannot both print.")
    return next(iter(given.values()), "text")


@contextmanager
def _ending_with_2() -> Iterator[None]:
    """Ends the process with 2 where no report can be given.

    Python's and click's own status would be 1, which says that the code is wrong.
    """
    try:
        yield
    except (Rot180Error, OSError) as error:
        click.echo(f"Error: {error}", err=True)
    except KeyboardInterrupt:
        click.echo("Error: interrupted", err=True)
    except Exception:
        click.echo(traceback.format_exc(), err=True, nl=False)
        click.echo(_OWN_FAULT, err=True)
    else:
        return
    sys.exit(2)


@contextmanager
def _check_progress() -> Iterator[Callable[[int, int | None, float, int], None] | None]:
    """Shows a line of progress on a terminal's standard error; yields what moves it."""
    console = make_console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    with console.status("starting") as status:

        def move(done: int, planned: int | None, seconds: float, failed: int) -> None:
            of = f" of {planned}" if planned and done <= planned else ""
            status.update(
                f"{done}{of} configurations, {failed} failures, {seconds:.0f} s"
            )

        yield move
