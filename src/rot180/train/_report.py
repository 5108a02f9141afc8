"""What a run leaves behind: a folder with measures, weights and a drawing."""

import contextlib
import dataclasses
import json
import math
import os
import tempfile
import time
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Final

from rot180.errors import ArgumentError, DataError, MissingPackageError
from rot180.functional import StepPlan
from rot180.train._checkpoint import to_bytes, write_atomically
from rot180.train._loop import Metrics, Trainer

_MEASURES: Final = "metrics.jsonl"
_WEIGHTS: Final = "model.safetensors"
_CURVES: Final = "curves.png"
_PROFILE: Final = {
    "text": "profile.txt",
    "json": "profile.json",
    "chart": "profile.png",
}


class RunFolder:
    """The folder of one run.

    `metrics.jsonl` has one line per epoch, `model.safetensors` the weights, and
    `curves.png` the loss and accuracy over the epochs; `profile.*`, if asked for, say
    where a step's time goes. The run that made
    `metrics.jsonl` owns the folder: no other writes there.

    Where the folder takes no more, because the disk is full or a permission is gone,
    the run goes on in a new one among the system's temporary folders.

    Attributes:
        path: Where it is.
        trouble: Why it is elsewhere than at first, or None.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Makes the folder; without a path, a new one under `runs`.

        Raises:
            DataError: The folder holds a run already, or cannot be made or written to.
        """
        self.trouble: str | None = None
        self._lines: list[str] = []
        try:
            self.path = _new_folder() if path is None else Path(path)
            self.path.mkdir(parents=True, exist_ok=True)
            _claim(self.path)
        except DataError:
            raise
        except TypeError:
            raise ArgumentError(
                f"run folder: a {type(path).__name__} is no path\n"
                "  Pass a pathlib.Path, or nothing for a new folder under runs."
            ) from None
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise DataError(
                f"the run folder {path or 'runs'} cannot be written: {why}\n"
                "  Choose another with --out."
            ) from error

    def save_epoch(self, trainer: Trainer, metrics: Metrics) -> None:
        """Writes the weights and a line of `metrics.jsonl`, both or none.

        What is no number is null there.

        Raises:
            DataError: Neither the folder nor a temporary one can be written to.
        """
        record = {
            name: None
            if isinstance(value, float) and not math.isfinite(value)
            else value
            for name, value in dataclasses.asdict(metrics).items()
        }
        self._lines.append(json.dumps(record) + "\n")
        lines = "".join(self._lines).encode()
        self._write({_WEIGHTS: _weights(trainer), _MEASURES: lines})

    def save_weights(self, trainer: Trainer) -> Path:
        """Writes `model.safetensors` and returns its path.

        Raises:
            DataError: Neither the folder nor a temporary one can be written to.
        """
        self._write({_WEIGHTS: _weights(trainer)})
        return self.path / _WEIGHTS

    def _write(self, contents: dict[str, bytes]) -> None:
        old = self.path
        try:
            write_atomically({old / name: text for name, text in contents.items()})
        except DataError as error:
            self._move(str(error))
            contents.setdefault(_MEASURES, "".join(self._lines).encode())
            new = {self.path / name: text for name, text in contents.items()}
            write_atomically(new)
            with contextlib.suppress(OSError):  # an earlier epoch's may stand there
                (old / _WEIGHTS).symlink_to(self.path / _WEIGHTS)

    def _move(self, trouble: str) -> None:
        """Goes on in a temporary folder."""
        if self.trouble is not None:
            raise DataError(trouble)
        try:
            self.path = Path(tempfile.mkdtemp(prefix="rot180-run-"))
        except OSError as error:
            raise DataError(
                f"{trouble}\n  Nor can a temporary folder be made: {error}"
            ) from error
        self.trouble = trouble

    def save_profile(self, plan: StepPlan) -> list[Path]:
        """Writes where a step's time goes; returns the paths.

        They are `profile.txt`, `profile.json` and, with matplotlib, `profile.png`.

        Raises:
            DataError: Neither the folder nor a temporary one can be written to.
        """
        contents = {
            _PROFILE["text"]: f"{plan!r}\n".encode(),
            _PROFILE["json"]: f"{plan.to_json()}\n".encode(),
        }
        with contextlib.suppress(MissingPackageError):
            contents[_PROFILE["chart"]] = plan.chart()
        names = [*contents]
        self._write(contents)
        return [self.path / name for name in names]

    def draw_curves(self, history: Sequence[Metrics]) -> Path | None:
        """Writes `curves.png` and returns its path; None where matplotlib is absent.

        Raises:
            DataError: The file cannot be written.
        """
        try:
            from matplotlib.backends.backend_agg import FigureCanvasAgg
            from matplotlib.figure import Figure
        except ImportError:
            return None
        figure = Figure(figsize=(7, 3), layout="constrained")
        FigureCanvasAgg(figure)
        left, right = figure.subplots(1, 2)
        epochs = [metrics.epoch for metrics in history]
        left.plot(epochs, [metrics.loss for metrics in history], ".-")
        left.set(xlabel="epoch", ylabel="training loss", yscale="log")
        right.plot(epochs, [metrics.accuracy for metrics in history], ".-")
        right.set(xlabel="epoch", ylabel="training accuracy")
        image = BytesIO()
        figure.savefig(image, format="png", dpi=120)
        path = self.path / _CURVES
        write_atomically({path: image.getvalue()})
        return path


def _claim(path: Path) -> None:
    """Makes the folder's first file, which one of two runs alone can do."""
    names = (_MEASURES, _WEIGHTS, _CURVES, *_PROFILE.values())
    taken = [name for name in names if os.path.lexists(path / name)]
    if not taken:
        try:
            (path / _MEASURES).open("x").close()
        except FileExistsError:
            taken = [_MEASURES]
    if taken:
        raise DataError(
            f"the run folder {path} holds a run already: {', '.join(taken)}\n"
            "  Choose another with --out, or delete that one first."
        )


def _weights(trainer: Trainer) -> bytes:
    facts = {
        "network": type(trainer.net).__name__,
        "data": trainer.data.name,
        "seed": str(trainer.settings.seed),
        "step": str(trainer.step),
    }
    return to_bytes(trainer.state_dict(), facts)


def _new_folder() -> Path:
    """Makes `runs/<date>-<time>`, with a number behind it if that is taken."""
    stem = time.strftime("%Y%m%d-%H%M%S")
    number = 1
    while True:
        path = Path("runs", stem if number == 1 else f"{stem}-{number}")
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return path
