"""`rot180 train`."""

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rot180.cli._shared import INTERRUPTED, Positive, errors_as_messages
from rot180.errors import DataError

if TYPE_CHECKING:
    from rot180.train import Metrics, RunFolder, Trainer

__all__ = ["train"]


@click.command()
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
    type=Positive(),
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

    with errors_as_messages():
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
