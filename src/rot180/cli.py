"""The command line: `rot180 train` and `rot180 info`.

Everything heavy is imported inside the commands, so that `--help` answers at once.
"""

import math
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from rot180.errors import DataError, Rot180Error

if TYPE_CHECKING:
    from rot180.train import Metrics, RunFolder, Trainer

__all__ = ["main"]

INTERRUPTED: Final = 130  # what a shell expects of a program ended by Ctrl-C


class _Positive(click.ParamType[float]):
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


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="rot180")
def main() -> None:
    """Convolutional networks on the CPU, forward and backward from one definition."""


@main.command()
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    default=15,
    show_default=True,
    help="How often every training image is seen. More takes longer in proportion.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=2),
    default=64,
    show_default=True,
    help="Images per step. Larger is faster, but makes fewer steps.",
)
@click.option(
    "--lr",
    type=_Positive(),
    default=0.1,
    show_default=True,
    help="Peak learning rate: reached after a fifth of the steps, then lowered to "
    "nearly 0 along half a cosine.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Decides the initial weights and the order of images. The same seed gives the "
    "same weights, whatever the number of threads.",
)
@click.option(
    "--threads",
    type=click.IntRange(1, 1024),
    default=None,
    help="Threads to compute with.  [default: the cores this process may use]",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    metavar="DIR",
    help="Folder for metrics.jsonl, model.safetensors and curves.png; older ones in it "
    "are replaced.  [default: a new folder under runs]",
)
def train(
    epochs: int,
    batch_size: int,
    lr: float,
    seed: int,
    threads: int | None,
    out: Path | None,
) -> None:
    """Train a small convolutional network on handwritten digits.

    The network has three 3x3 convolutions with batch normalisation and ReLU, maximum
    pooling and a linear layer. It learns from 1,437 of the 1,797 digits bundled with
    rot180, 8x8 pixels each, and is tested on the other 360. Kernels are compiled for
    this CPU at first use and kept on disk.

    \b
    Examples:
      rot180 train                      the defaults: a few seconds, about 99 %
      rot180 train --seed 1 --out again
      rot180 train --epochs 3 --lr 0.05

    The last line printed is the accuracy on the test images. Ctrl-C ends training early
    and keeps what was learnt. A loss that is no longer finite ends it with an error.
    """  # noqa: D301
    from rot180 import nn, runtime
    from rot180 import train as training

    with _errors_as_messages():
        data = training.data.digits()
        if batch_size > len(data.labels):
            raise click.BadParameter(
                f"{batch_size} is more than the {len(data.labels)} training images.",
                param_hint="'--batch-size'",
            )
        if threads is not None:
            runtime.set_num_threads(threads)
        optimiser = training.default_optimiser(lr)
        settings = training.Settings(epochs, batch_size, seed, optimiser=optimiser)
        trainer = training.Trainer(nn.models.DigitsNet(), data, settings)
        try:
            folder = training.RunFolder(out)
        except DataError as error:
            raise click.BadParameter(str(error), param_hint="'--out'") from error
        _run(trainer, folder)


def _run(trainer: "Trainer", folder: "RunFolder") -> None:
    """Trains, saves, and prints; exits with 130 if interrupted."""
    try:
        history = _train(trainer, folder)
        weights = folder.save_weights(trainer)
        if folder.draw_curves(history) is None:
            click.echo("no curves.png without matplotlib: pip install 'rot180[plot]'")
        _check_converging(history[-1], weights)
        accuracy = trainer.test_accuracy()
    except KeyboardInterrupt:
        path = folder.save_weights(trainer)
        click.echo(
            f"interrupted after {trainer.step} steps ({trainer.epoch} whole epochs of "
            f"{trainer.settings.epochs}); the weights so far are in {path}",
            err=True,
        )
        sys.exit(INTERRUPTED)
    click.echo(f"saved to {folder.path}")
    click.echo(f"test accuracy {accuracy:.4f}")


def _check_converging(last: "Metrics", weights: Path) -> None:
    if not math.isfinite(last.loss):
        raise click.ClickException(
            f"training diverged: the loss is {last.loss} in epoch {last.epoch}, and "
            f"the weights in {weights} are of no use\n"
            f"  Use a smaller --lr; this epoch ended at {last.lr:g}."
        )


def _train(trainer: "Trainer", folder: "RunFolder") -> "list[Metrics]":
    """Returns the measures of each epoch, also written down as they come.

    Ends after an epoch whose loss is not finite.
    """
    history = []
    with _progress(trainer) as show:
        for _ in range(trainer.settings.epochs):
            history.append(trainer.run_epoch(show))
            folder.add(history[-1])
            if not math.isfinite(history[-1].loss):
                break
    return history


@contextmanager
def _progress(trainer: "Trainer") -> Iterator[Callable[["Metrics"], None]]:
    """Shows a bar while the block runs; yields the function that moves it."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("epoch {task.fields[epoch]}"),
        BarColumn(),
        TextColumn("loss {task.fields[loss]:.4f}"),
        TextColumn("accuracy {task.fields[accuracy]:.4f}"),
        TextColumn("{task.fields[speed]:,.0f} images/s"),
        TimeRemainingColumn(),
    )
    epochs = trainer.settings.epochs
    with Progress(*columns) as progress:
        task = progress.add_task(
            "train",
            total=epochs * trainer.steps_per_epoch,
            epoch=f"0/{epochs}",
            loss=math.nan,
            accuracy=math.nan,
            speed=0.0,
        )

        def show(metrics: "Metrics") -> None:
            progress.update(
                task,
                completed=metrics.step,
                epoch=f"{metrics.epoch}/{epochs}",
                loss=metrics.loss,
                accuracy=metrics.accuracy,
                speed=metrics.images_per_second,
            )

        yield show


@main.command()
def info() -> None:
    """Show the CPU, threads, kernel cache and versions in use."""
    from rich.console import Console
    from rich.table import Table

    with _errors_as_messages():
        table = Table.grid(padding=(0, 2))
        for name, value in _facts():
            table.add_row(name, value)
        Console(highlight=False, soft_wrap=True).print(table)


def _facts() -> Iterator[tuple[str, str]]:
    from rot180 import runtime

    cpu = runtime.cpu.detect()
    cache = runtime.object_cache().info()
    yield "cpu", f"{cpu.name}, {cpu.family}, {cpu.vector_bytes * 8}-bit vectors"
    yield "lanes", f"{cpu.lanes('float32')} float32, {cpu.lanes('float64')} float64"
    yield "cores", str(cpu.cores)
    yield "threads", str(runtime.get_num_threads())
    yield "cache", cache.path or f"none: {cache.reason}"
    yield "cached", f"{cache.entries} kernels, {cache.bytes / 1e6:.1f} MB"
    yield "python", f"{platform.python_version()} on {platform.platform()}"
    for package in ("rot180", "numpy", "llvmlite"):
        yield package, _version(package)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


@contextmanager
def _errors_as_messages() -> Iterator[None]:
    """An error of ours becomes one message and exit code 1, without a traceback."""
    try:
        yield
    except Rot180Error as error:
        raise click.ClickException(str(error)) from error
