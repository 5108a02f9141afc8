"""`rot180 train`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rot180.cli._endings import Ended, Output, endings, hold_signals
from rot180.cli._shared import (
    INTERRUPTED,
    Place,
    Positive,
    errors_as_messages,
    make_console,
)
from rot180.errors import DataError, DivergenceError

if TYPE_CHECKING:
    from rot180.train import Metrics, RunFolder, Trainer

_NONE = "\N{EN DASH}"  # for what is not measured yet

__all__ = ["train"]


@click.command()
@click.option(
    "--epochs",
    type=click.IntRange(1, 1_000_000),
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
    type=Place(file_okay=False, path_type=Path),
    default=None,
    metavar="DIR",
    help="Folder for metrics.jsonl, model.safetensors and curves.png; one that holds "
    "a run already is refused.  [default: a new folder under runs]",
)
@click.option(
    "--profile",
    is_flag=True,
    help="Measure each kernel of a step first, and write where the time goes: "
    "profile.txt, profile.json and, with matplotlib, profile.png.",
)
def train(
    epochs: int,
    batch_size: int,
    lr: float,
    seed: int,
    threads: int | None,
    out: Path | None,
    profile: bool,
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
      rot180 train --profile            and where a step's time goes

    The last line printed is the accuracy on the test images. The weights are saved
    after every epoch. Ctrl-C, SIGTERM and SIGHUP end training early and keep what was
    learnt. A loss that is no longer finite ends it with an error.
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
        with endings(), Output() as output:
            try:
                folder = training.RunFolder(out)
            except DataError as error:
                raise click.BadParameter(str(error), param_hint="'--out'") from error
            _run(trainer, folder, output, profile)


def _run(
    trainer: "Trainer", folder: "RunFolder", output: Output, profile: bool
) -> None:
    """Trains, saves, and prints; a signal ends it with the weights saved."""
    try:
        if profile:
            _profile(trainer, folder, output)
        history = _train(trainer, folder, output)
        if _draw(folder, history) is None:
            output.say("no curves.png without matplotlib: pip install 'rot180[plot]'")
        accuracy = trainer.test_accuracy()
    except KeyboardInterrupt as ended:
        hold_signals()
        path = folder.save_weights(trainer)
        output.note(
            f"interrupted after {trainer.step} steps ({trainer.epoch} whole epochs of "
            f"{trainer.settings.epochs}); the weights so far are in {path}"
        )
        status = ended.status if isinstance(ended, Ended) else INTERRUPTED
        raise SystemExit(status) from None
    except DivergenceError as error:
        path = folder.save_weights(trainer)
        raise click.ClickException(
            f"training diverged: {error}\n  The weights before it are in {path}."
        ) from error
    output.say(f"saved to {folder.path}")
    output.say(f"test accuracy {accuracy:.4f}")


def _profile(trainer: "Trainer", folder: "RunFolder", output: Output) -> None:
    """Writes where a step's time goes, and says where that stands."""
    plan = trainer.plan(measure=True)
    moved = folder.trouble
    paths = folder.save_profile(plan)
    if folder.trouble != moved:
        output.note(f"{folder.trouble}\n  The run goes on in {folder.path}.")
    milliseconds = (plan.measured or 0.0) * 1e3
    names = ", ".join(path.name for path in paths)
    output.say(
        f"profile of a step, {len(plan.kernels)} kernels in {milliseconds:.2f} ms: "
        f"{names} in {folder.path}"
    )
    if not any(path.suffix == ".png" for path in paths):
        output.say("no profile.png without matplotlib: pip install 'rot180[plot]'")


def _draw(folder: "RunFolder", history: "list[Metrics]") -> Path | None:
    """Draws the curves; where they cannot be written, the run is no worse for it."""
    try:
        return folder.draw_curves(history)
    except DataError as error:
        click.echo(f"no curves.png: {error}", err=True)
        return folder.path


def _train(trainer: "Trainer", folder: "RunFolder", output: Output) -> "list[Metrics]":
    """Returns the measures of each epoch.

    After each, weights and measures are on the disk before anything is shown.
    """
    history = []
    with _progress(trainer, output) as show:
        for _ in range(trainer.settings.epochs):
            moved = folder.trouble
            history.append(trainer.run_epoch(show))
            folder.save_epoch(trainer, history[-1])
            if folder.trouble != moved:
                output.note(f"{folder.trouble}\n  The run goes on in {folder.path}.")
    return history


@contextmanager
def _progress(
    trainer: "Trainer", output: Output
) -> Iterator[Callable[["Metrics"], None]]:
    """Shows a bar while the block runs; yields the function that moves it."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("epoch {task.fields[epoch]}"),
        BarColumn(),
        TextColumn("loss {task.fields[loss]}"),
        TextColumn("accuracy {task.fields[accuracy]}"),
        TextColumn("{task.fields[speed]} images/s"),
        TimeRemainingColumn(),
    )
    epochs = trainer.settings.epochs
    with Progress(*columns, console=make_console(file=output.stream)) as progress:
        task = progress.add_task(
            "train",
            total=epochs * trainer.steps_per_epoch,
            epoch=f"0/{epochs}",
            loss=_NONE,
            accuracy=_NONE,
            speed=_NONE,
        )

        def show(metrics: "Metrics") -> None:
            progress.update(
                task,
                completed=metrics.step,
                epoch=f"{metrics.epoch}/{epochs}",
                loss=f"{metrics.loss:.4f}",
                accuracy=f"{metrics.accuracy:.4f}",
                speed=f"{metrics.images_per_second:,.0f}",
            )

        yield show
