"""What a run leaves behind: a folder with measures, weights and a drawing."""

import dataclasses
import json
import math
import time
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from rot180.errors import DataError
from rot180.train._checkpoint import save, write_atomically
from rot180.train._loop import Metrics, Trainer


class RunFolder:
    """The folder of one run.

    `metrics.jsonl` has one line per epoch, `model.safetensors` the weights, and
    `curves.png` the loss and accuracy over the epochs.

    Attributes:
        path: Where it is.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Makes the folder; without a path, a new one under `runs`.

        Raises:
            DataError: The folder cannot be made or written to.
        """
        self.path = _new_folder() if path is None else path
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            (self.path / "metrics.jsonl").write_text("")
        except OSError as error:
            raise DataError(
                f"the run folder {self.path} cannot be written: {error.strerror}\n"
                "  Choose another with --out."
            ) from error

    def add(self, metrics: Metrics) -> None:
        """Appends one line to `metrics.jsonl`; what is no number is null there."""
        record = {
            name: None
            if isinstance(value, float) and not math.isfinite(value)
            else value
            for name, value in dataclasses.asdict(metrics).items()
        }
        with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(record) + "\n")

    def save_weights(self, trainer: Trainer) -> Path:
        """Writes `model.safetensors` and returns its path.

        Raises:
            DataError: The file cannot be written.
        """
        path = self.path / "model.safetensors"
        facts = {
            "network": type(trainer.net).__name__,
            "data": trainer.data.name,
            "seed": str(trainer.settings.seed),
            "step": str(trainer.step),
        }
        save(path, trainer.state_dict(), facts)
        return path

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
        path = self.path / "curves.png"
        write_atomically(path, image.getvalue())
        return path


def _new_folder() -> Path:
    """Returns `runs/<date>-<time>`, with a number behind it if that is taken."""
    stem = time.strftime("%Y%m%d-%H%M%S")
    path = Path("runs", stem)
    number = 2
    while path.exists():
        path = Path("runs", f"{stem}-{number}")
        number += 1
    return path
