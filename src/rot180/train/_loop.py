"""The training loop: one compiled step, repeated over batches."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from rot180 import functional, ops, runtime
from rot180.autograd import check_callable, jit, shape_of, tree_flatten, value_and_grad
from rot180.errors import ArgumentError, DivergenceError, ShapeError
from rot180.nn import Key, Module, Params
from rot180.train._optim import SGD, Optimiser, check_range, one_cycle
from rot180.train.data import Dataset, batches, check_batch_size

Array = np.ndarray[Any, Any]


def default_optimiser(lr: float = 0.1) -> SGD:
    """Returns the optimiser of `rot180 train`, with `lr` at the peak."""
    return SGD(lr, momentum=0.9, weight_decay=1e-3, nesterov=True)


@dataclass(frozen=True, slots=True)
class Settings:
    """How to train; the defaults are those of `rot180 train`.

    They were chosen by cross-validation inside the training part of the digits.

    Attributes:
        epochs: How often every image is seen.
        batch_size: Images per step.
        seed: Decides the initial weights, the order of images and their shifts.
        shift: Share of images moved by up to a pixel.
        label_smoothing: Share of each label spread over all classes.
        optimiser: Its `lr` is the peak of the schedule, see `one_cycle`.

    Raises:
        ArgumentError: One of them is out of its range or of another kind.
    """

    epochs: int = 15
    batch_size: int = 64
    seed: int = 0
    shift: float = 0.5
    label_smoothing: float = 0.1
    optimiser: Optimiser = field(default_factory=default_optimiser)

    def __post_init__(self) -> None:
        _check_integer("epochs", self.epochs, 0)
        _check_integer("batch_size", self.batch_size, 1)
        _check_integer("seed", self.seed, 0)
        check_range("Settings", "shift", self.shift, most=1.0)
        check_range("Settings", "label_smoothing", self.label_smoothing, most=1.0)
        if not isinstance(self.optimiser, Optimiser):
            raise ArgumentError(
                f"Settings: optimiser={self.optimiser!r} is none\n"
                "  Pass one such as train.SGD(0.1) or train.Adam(1e-3)."
            )


def _check_kind(name: str, value: Any, kind: type) -> None:
    if not isinstance(value, kind):
        is_class = isinstance(value, type)
        found = f"the class {value.__name__}" if is_class else type(value).__name__
        raise ArgumentError(
            f"Trainer: {name} is {found}, not a {kind.__name__} of rot180"
        )


def _check_integer(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ArgumentError(f"Settings: {name}={value!r} is not an integer")
    if value < least:
        raise ArgumentError(f"Settings: {name}={value} must be at least {least}")
    if name != "seed" and value > ops.LONGEST:
        raise ArgumentError(f"Settings: {name}={value} must be at most {ops.LONGEST}")


@dataclass(frozen=True, slots=True)
class Metrics:
    """What was measured over an epoch, or over the part of it that is done.

    Attributes:
        epoch: From 1.
        step: Steps done since the beginning of training.
        loss: Mean loss over the epoch's images so far.
        accuracy: Share of them classified rightly, while training.
        lr: Learning rate of the last step.
        images_per_second: Images over time, waiting included.
    """

    epoch: int
    step: int
    loss: float
    accuracy: float
    lr: float
    images_per_second: float


class Trainer:
    """A network being trained.

    Attributes:
        net: The network.
        data: What it is trained on.
        settings: How.
        params: Its parameters, always those after the last whole step.
        state: Its state, likewise.
        epoch: Epochs finished.
        step: Steps done.
    """

    def __init__(self, net: Module, data: Dataset, settings: Settings) -> None:
        """Draws the first weights, and refuses what could not be trained.

        Raises:
            ArgumentError: The batch size is larger than the training part, or an
                argument is of another kind.
            ShapeError: The images do not fit the network, or its scores the classes.
        """
        _check_kind("net", net, Module)
        _check_kind("data", data, Dataset)
        _check_kind("settings", settings, Settings)
        self.net = net
        self.data = data
        self.settings = settings
        self._key = Key.from_seed(settings.seed)
        self.params, self.state = net.init(self._key.fold("weights"))
        self._slots = settings.optimiser.init(self.params)
        self.epoch = 0
        self.step = 0
        self._first_key = self._step_key(0)
        self._train_step = _train_step(net, settings)
        self._logits = _logits(net)
        check_batch_size(data, settings.batch_size)
        self._check_scores()

    def _check_scores(self) -> None:
        """Refuses a network that does not take these images, or has other classes."""
        shape = shape_of(self._logits, self.params, self.state, self.data.images[:1])
        if len(shape) != 2 or shape[1] < self.data.classes:
            raise ShapeError(
                f"Trainer: for one image the network gives scores of shape {shape}\n"
                f"    {self.data.name} has {self.data.classes} classes\n"
                f"  Let the network end with (n, {self.data.classes}) scores."
            )

    @property
    def steps_per_epoch(self) -> int:
        """Full batches in the training part."""
        return len(self.data.labels) // self.settings.batch_size

    def run_epoch(self, on_step: Callable[[Metrics], None] | None = None) -> Metrics:
        """Trains on every image once and returns what was measured.

        Args:
            on_step: Called after each step with the epoch's measures so far.

        Raises:
            DivergenceError: A loss, or at the end a weight, is not finite. The
                parameters are then those before that step.
        """
        tally = _Tally(self.epoch + 1)
        size, shift = self.settings.batch_size, self.settings.shift
        key = self._key.fold("epoch").fold(self.epoch)
        metrics = tally.metrics(self.step, 0.0)
        for images, labels in batches(self.data, size, key, shift=shift):
            rate = self._rate()
            loss, hits = self._one_step(images, labels, rate)
            tally.add(size, loss, hits)
            metrics = tally.metrics(self.step, rate)
            if on_step is not None:
                on_step(metrics)
        self._check_weights(metrics.lr)
        self.epoch += 1
        return metrics

    def plan(self, *, measure: bool = False) -> functional.StepPlan:
        """Returns which kernels a step runs, and for which layer and pass.

        Args:
            measure: Whether to run the step on the first images to time each kernel;
                nothing is learnt.
        """
        size = self.settings.batch_size
        plan: functional.StepPlan = functional.plan(
            self._train_step,
            *(self.params, self.state, self._slots),
            *(self.data.images[:size], self.data.labels[:size]),
            self._lr(self.settings.optimiser.lr),
            self._step_key(0),
            measure=measure,
        )
        return plan

    def test_accuracy(self) -> float:
        """Returns the share of the test part that the network classifies rightly."""
        return accuracy(
            self._logits,
            self.params,
            self.state,
            self.data.test_images,
            self.data.test_labels,
        )

    def state_dict(self) -> dict[str, Array]:
        """Returns all weights and running statistics, named as in PyTorch."""
        return self.net.state_dict(self.params, self.state)

    def _rate(self) -> float:
        steps = self.settings.epochs * self.steps_per_epoch
        return self.settings.optimiser.lr * one_cycle(self.step, steps)

    def _one_step(self, images: Array, labels: Array, rate: float) -> tuple[Any, Any]:
        lr = self._lr(rate)
        params, state, slots, loss, hits = self._stepped(images, labels, lr)
        if not math.isfinite(loss):
            raise self._diverged(f"the loss is {float(loss)}", rate)
        self.params, self.state, self._slots = params, state, slots
        self.step += 1
        return loss, hits

    def _lr(self, rate: float) -> Any:
        """A learning rate as a step takes it: an array, which may change."""
        leaves, _ = tree_flatten(self.params)
        return np.asarray(rate, leaves[0].dtype) if leaves else rate

    def _stepped(self, images: Array, labels: Array, lr: Any) -> Any:
        """Returns what the step gives.

        A key is constant within a trace. Once a layer has drawn numbers from it, each
        step is traced anew under a key of its own.
        """
        given = self.params, self.state, self._slots, images, labels, lr
        if self._first_key.drawn:
            return self._train_step.__wrapped__(*given, self._step_key(self.step))  # type: ignore[attr-defined]
        return self._train_step(*given, self._first_key)

    def _step_key(self, step: int) -> "_WatchedKey":
        return _WatchedKey(self._key.fold("step").fold(step).bits, set())

    def _check_weights(self, rate: float) -> None:
        for name, array in self.state_dict().items():
            if not np.isfinite(array).all():
                raise self._diverged(f"{name} is no longer finite", rate)

    def _diverged(self, what: str, rate: float) -> DivergenceError:
        return DivergenceError(
            f"{what} in step {self.step + 1}, of epoch {self.epoch + 1}\n"
            f"  Use a smaller learning rate (--lr); in this step it was {rate:g}."
        )


def accuracy(
    logits: Callable[..., Any],
    params: Params,
    state: Params,
    images: Array,
    labels: Array,
    *,
    chunk: int = 512,
) -> float:
    """Returns the share of `images` whose greatest logit is at their label.

    Args:
        logits: `(params, state, images) -> (n, classes)`.
        params: Parameters.
        state: State.
        images: `(n, c, h, w)`.
        labels: `(n,)`.
        chunk: Images classified at once.

    Raises:
        ShapeError: There are not as many images as labels.
        ArgumentError: `chunk` is not a positive integer.
    """
    images, labels = runtime.plain_array(images), runtime.plain_array(labels)
    if images.shape[:1] != labels.shape or labels.ndim != 1:
        raise ShapeError(
            f"accuracy: {images.shape[0] if images.ndim else 'no'} images, "
            f"{labels.shape[0] if labels.ndim else 'no'} labels\n"
            f"    images have shape {images.shape}, labels {labels.shape}\n"
            "  Pass one label for each image."
        )
    if not isinstance(chunk, int) or chunk < 1:
        raise ArgumentError(f"accuracy: chunk={chunk!r} is not a positive integer")
    check_callable("accuracy", logits)
    hits = 0.0
    for start in range(0, len(labels), chunk):
        part = slice(start, start + chunk)
        scores = logits(params, state, images[part])
        hits += float(functional.correct(scores, labels[part]))
    return hits / max(len(labels), 1)


def _train_step(net: Module, settings: Settings) -> Callable[..., Any]:
    """Returns the whole step, forward, backward and update, as one traced function."""

    def loss(params: Params, state: Params, images: Any, labels: Any, key: Key) -> Any:
        scores, new_state = net.apply(params, state, images, training=True, key=key)
        hits = functional.correct(scores, labels)
        value = functional.cross_entropy(
            scores, labels, label_smoothing=settings.label_smoothing
        )
        return value, (new_state, hits)

    differentiated = value_and_grad(loss, has_aux=True)

    def step(
        params: Params,
        state: Params,
        slots: Any,
        images: Any,
        labels: Any,
        lr: Any,
        key: Key,
    ) -> Any:
        (value, (new_state, hits)), grads = differentiated(
            params, state, images, labels, key
        )
        new_params, new_slots = settings.optimiser.update(params, grads, slots, lr)
        return new_params, new_state, new_slots, value, hits

    return jit(step)


def _logits(net: Module) -> Callable[..., Any]:
    def logits(params: Params, state: Params, images: Any) -> Any:
        return net.apply(params, state, images, training=False)[0]

    return jit(logits)


@dataclass(frozen=True, slots=True)
class _WatchedKey(Key):
    """A key that remembers, for all that are derived from it, whether it was used.

    Attributes:
        drawn: The bits of those from which numbers were drawn.
    """

    drawn: set[int] = field(compare=False)

    def fold(self, name: str | int) -> Self:
        return type(self)(Key(self.bits).fold(name).bits, self.drawn)

    def generator(self) -> np.random.Generator:
        self.drawn.add(self.bits)
        return Key(self.bits).generator()


class _Tally:
    """Sums over the steps of one epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.images = 0
        self.loss = 0.0
        self.hits = 0.0
        self.begun = time.perf_counter()

    def add(self, images: int, loss: Any, hits: Any) -> None:
        self.images += images
        self.loss += images * float(loss)
        self.hits += float(hits)

    def metrics(self, step: int, lr: float) -> Metrics:
        seconds = time.perf_counter() - self.begun
        return Metrics(
            epoch=self.epoch,
            step=step,
            loss=self.loss / self.images if self.images else math.nan,
            accuracy=self.hits / self.images if self.images else math.nan,
            lr=lr,
            images_per_second=self.images / seconds if seconds > 0 else 0.0,
        )
