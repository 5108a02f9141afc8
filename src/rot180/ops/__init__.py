"""The catalogue of operations: shapes, messages and derivatives, without arrays."""

from rot180.ops._arguments import (
    check_modes,
    conv_input_grad_op,
    conv_op,
    conv_rank,
    conv_transpose_op,
    conv_weight_grad_op,
    pool_op,
)
from rot180.ops._batch_norm import BatchNorm, Composite
from rot180.ops._conv import ROLES, ChannelSum, Conv
from rot180.ops._formula import (
    conv_formula,
    pool_formula,
    positions,
    taps,
    transposed_formula,
)
from rot180.ops._layout import (
    Layout,
    channel_axis,
    check_layout,
    filter_axes,
    filter_shape,
    image_shape,
    spatial,
    spatial_axes,
)
from rot180.ops._norm import LogSoftmax
from rot180.ops._op import (
    DTYPES,
    FLOATS,
    INTEGERS,
    Op,
    TensorType,
    expect_dtype,
    type_of,
)
from rot180.ops._padding import PADDINGS
from rot180.ops._pointwise import (
    POINTWISE,
    Broadcast,
    Formula,
    Pointwise,
    Reduce,
)
from rot180.ops._pool import MaxPool, MaxSelect, WindowSum, pool_counts
from rot180.ops._shape import (
    Flip,
    Full,
    Identity,
    OneHot,
    Reshape,
    StopGradient,
    Transpose,
    broadcast_shapes,
    full_like,
    scalar_like,
)
from rot180.ops._tracing import Traced, apply, apply_all, is_traced
from rot180.ops._window import Window

__all__ = [
    "DTYPES",
    "FLOATS",
    "INTEGERS",
    "PADDINGS",
    "POINTWISE",
    "ROLES",
    "BatchNorm",
    "Broadcast",
    "ChannelSum",
    "Composite",
    "Conv",
    "Flip",
    "Formula",
    "Full",
    "Identity",
    "Layout",
    "LogSoftmax",
    "MaxPool",
    "MaxSelect",
    "OneHot",
    "Op",
    "Pointwise",
    "Reduce",
    "Reshape",
    "StopGradient",
    "TensorType",
    "Traced",
    "Transpose",
    "Window",
    "WindowSum",
    "apply",
    "apply_all",
    "broadcast_shapes",
    "channel_axis",
    "check_layout",
    "check_modes",
    "conv_formula",
    "conv_input_grad_op",
    "conv_op",
    "conv_rank",
    "conv_transpose_op",
    "conv_weight_grad_op",
    "expect_dtype",
    "filter_axes",
    "filter_shape",
    "full_like",
    "image_shape",
    "is_traced",
    "pool_counts",
    "pool_formula",
    "pool_op",
    "positions",
    "scalar_like",
    "spatial",
    "spatial_axes",
    "taps",
    "transposed_formula",
    "type_of",
]
