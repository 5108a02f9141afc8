"""Layers and networks: descriptions whose parameters and state are held outside."""

from rot180.nn import models
from rot180.nn._conv_layers import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
)
from rot180.nn._key import Key
from rot180.nn._layers import Flatten, Linear, ReLU, Sequential
from rot180.nn._module import Module, Scope
from rot180.nn._norm_layers import BatchNorm1d, BatchNorm2d, BatchNorm3d
from rot180.nn._pool_layers import (
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
)
from rot180.nn._state_dict import Params

__all__ = [
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "Flatten",
    "Key",
    "Linear",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "Module",
    "Params",
    "ReLU",
    "Scope",
    "Sequential",
    "models",
]
