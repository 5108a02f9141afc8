"""Training: data, optimisers, the loop, and what a run leaves behind."""

from rot180.train import data
from rot180.train._checkpoint import load, save
from rot180.train._loop import (
    Metrics,
    Settings,
    Trainer,
    accuracy,
    default_optimiser,
)
from rot180.train._optim import SGD, Adam, Optimiser, one_cycle
from rot180.train._report import RunFolder

__all__ = [
    "SGD",
    "Adam",
    "Metrics",
    "Optimiser",
    "RunFolder",
    "Settings",
    "Trainer",
    "accuracy",
    "data",
    "default_optimiser",
    "load",
    "one_cycle",
    "save",
]
