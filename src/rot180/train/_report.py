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

from rot180.errors import DataError
from rot180.train._checkpoint import save, write_atomically
from rot180.train._loop import Metrics, Trainer

_MEASURES: Final = "metrics.jsonl"
_WEIGHTS: Final = "model.safetensors"
_CURVES: Final = "curves.png"


class RunFolder:
    """The folder of one run.

    `metrics.jsonl` has one line per epoch, `model.safetensors` the weights, and
    `curves.png` the loss and accuracy over the epochs. The run that made
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
            self.path = _new_folder() if path is None else path
            self.path.mkdir(parents=True, exist_ok=True)
            _claim(self.path)
        except DataError:
            raise
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise DataError(
                f"the run folder {path or 'runs'} cannot be written: {why}\n"
                "  Choose another with --out."
            ) from error

    def add(self, metrics: Metrics) -> None:
        """Appends one line to `metrics.jsonl`; what is no number is null there.

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
        try:
            _append(self.path / _MEASURES, self._lines[-1])
        except OSError as error:
            self._move(str(error))

    def save_weights(self, trainer: Trainer) -> Path:
        """Writes `model.safetensors` and returns its path.

        Raises:
            DataError: Neither the folder nor a temporary one can be written to.
        """
        facts = {
            "network": type(trainer.net).__name__,
            "data": trainer.data.name,
            "seed": str(trainer.settings.seed),
            "step": str(trainer.step),
        }
        arrays, old = trainer.state_dict(), self.path / _WEIGHTS
        try:
            save(old, arrays, facts)
        except DataError as error:
            self._move(str(error))
            save(self.path / _WEIGHTS, arrays, facts)
            with contextlib.suppress(OSError):  # an earlier epoch's may stand there
                old.symlink_to(self.path / _WEIGHTS)
        return self.path / _WEIGHTS

    def _move(self, trouble: str) -> None:
        """Goes on in a temporary folder, with all lines so far."""
        if self.trouble is not None:
            raise DataError(trouble)
        try:
            self.path = Path(tempfile.mkdtemp(prefix="rot180-run-"))
        except OSError as error:
            raise DataError(
                f"{trouble}\n  Nor can a temporary folder be made: {error}"
            ) from error
        self.trouble = trouble
        write_atomically(self.path / _MEASURES, "".join(self._lines).encode())

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
        write_atomically(path, image.getvalue())
        return path


def _claim(path: Path) -> None:
    """Makes the folder's first file, which one of two runs alone can do."""
    names = (_MEASURES, _WEIGHTS, _CURVES)
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


def _append(path: Path, line: str) -> None:
    """Appends a line that then is on the disk, or nothing."""
    with path.open("ab", buffering=0) as stream:
        before = stream.seek(0, os.SEEK_END)
        content = line.encode()
        try:
            if stream.write(content) != len(content):
                raise OSError(f"{path} takes no more")
            os.fsync(stream.fileno())
        except BaseException:
            stream.truncate(before)
            raise


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
