"""From ops and the places of arrays to what kernels compute."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rot180 import ops
from rot180.errors import InternalError
from rot180.lower import Operand, _elementwise, bind, dense_strides, elementwise
from rot180.ops import TensorType, Window
from rot180.program import Affine, Position, Program, show
from rot180.schedules import Nest, Pointwise, RowWise

FLOATS = "float32"


def dense(*shape: int, dtype: str = FLOATS) -> Operand:
    return Operand.dense(TensorType(shape, dtype))


def lies(array: Any) -> Operand:
    strides = tuple(s // array.itemsize for s in array.strides)
    return Operand(TensorType(array.shape, array.dtype.name), strides)


@given(shape=st.lists(st.integers(0, 4), max_size=4).map(tuple))
def test_dense_strides_are_those_of_numpy(shape: tuple[int, ...]) -> None:
    array = np.empty(shape, "float32")
    if array.size:
        assert dense_strides(shape) == tuple(s // 4 for s in array.strides)
    assert len(dense_strides(shape)) == len(shape)


# ---------------------------------------------------------------- merging axes


@st.composite
def views(draw: st.DrawFn) -> list[Any]:
    """Arrays of one shape: transposed, cut, repeated and reversed."""
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)))
    found = []
    for _ in range(draw(st.integers(1, 3))):
        order = draw(st.permutations(range(len(shape))))
        larger = [shape[axis] + draw(st.integers(0, 1)) for axis in order]
        base = np.arange(math.prod(larger)).reshape(larger)
        view = base.transpose(np.argsort(order))[tuple(map(slice, shape))]
        repeated = tuple(
            slice(0, 1) if draw(st.booleans()) else slice(None) for _ in shape
        )
        found.append(np.broadcast_to(view[repeated], shape))
    return found


@given(arrays=views())
def test_merged_axes_visit_the_same_elements_in_order(arrays: list[Any]) -> None:
    rows = [tuple(s // a.itemsize for s in a.strides) for a in arrays]
    sizes, strides = _elementwise._merge(arrays[0].shape, rows)
    assert math.prod(sizes) == arrays[0].size
    assert 1 not in sizes or sizes == (1,)
    for array, row in zip(arrays, strides, strict=True):
        merged = np.lib.stride_tricks.as_strided(
            array, sizes, [s * array.itemsize for s in row]
        )
        np.testing.assert_array_equal(merged.reshape(-1), array.reshape(-1))


@pytest.mark.parametrize(
    ("shape", "rows", "sizes", "strides"),
    [
        ((2, 3, 4), [(12, 4, 1)] * 2, (24,), [(1,), (1,)]),
        ((2, 3, 4), [(12, 4, 1), (0, 0, 1)], (6, 4), [(4, 1), (0, 1)]),
        ((2, 3, 4), [(12, 4, 1), (4, 0, 1)], (2, 3, 4), [(12, 4, 1), (4, 0, 1)]),
        ((1, 1), [(1, 1)], (1,), [(1,)]),
        ((5, 1, 3), [(3, 3, 1)], (15,), [(1,)]),
    ],
)
def test_merge(shape: Any, rows: Any, sizes: Any, strides: Any) -> None:
    assert _elementwise._merge(shape, rows) == (sizes, strides)


def test_a_contiguous_formula_is_one_line_of_unknown_length() -> None:
    formula = elementwise("add", ("add",), (dense(2, 3, 4),) * 2, dense(2, 3, 4))
    assert [b.shape for b in formula.arguments()] == [(None,)] * 3
    assert [b.strides for b in formula.arguments()] == [(1,)] * 3


def test_an_operand_repeats_along_axes_that_it_lacks() -> None:
    formula = elementwise(
        "add", ("add",), (dense(5, 4, 3), dense(4, 1)), dense(5, 4, 3)
    )
    assert formula.out.shape == (None, 4, 3)
    assert [b.strides for b in formula.inputs] == [(12, 3, 1), (0, 1, 0)]
    scalar = elementwise("add", ("add",), (dense(5, 4), dense()), dense(5, 4))
    assert [b.strides for b in scalar.arguments()] == [(1,), (1,), (0,)]


def test_a_flip_starts_at_the_last_element_and_walks_back() -> None:
    formula = bind(ops.Flip((0, 2)), (dense(2, 3, 4),), (dense(2, 3, 4),))
    assert isinstance(formula, Pointwise)
    (x,) = formula.inputs
    assert x.offset == 1 * 12 + 3 * 1
    assert x.strides == (-12, 4, -1)
    assert formula.steps == ()


def test_labels_stand_beside_the_row_of_classes() -> None:
    op = ops.OneHot(10, "float32")
    inputs = (dense(6, dtype="int64"), dense(10, dtype="int64"))
    formula = bind(op, inputs, (dense(6, 10),))
    assert isinstance(formula, Pointwise)
    assert [b.strides for b in formula.inputs] == [(1, 0), (0, 1)]
    assert [step.fn for step in formula.steps] == ["equal", "cast_float32"]


# ---------------------------------------------------------------- sums


def conv(layout: Any, groups: int, x: Operand, w: Operand) -> Nest:
    window = Window((3, 3), (1, 1), (1, 1), ((0, 0), (0, 0)), groups)
    size = x.type.shape[2:] if layout == "channels_first" else x.type.shape[1:-1]
    op = ops.Conv(window, layout, "y", size)
    (y,) = op.infer(x.type, w.type)
    found = bind(op, (x, w), (Operand.dense(y),))
    assert isinstance(found, Program)
    return Nest.of(found)


def test_the_number_of_images_is_not_part_of_a_kernel() -> None:
    """One kernel serves every batch."""
    w = dense(5, 4, 3, 3)
    few, many = (conv("channels_first", 1, dense(n, 4, 8, 8), w) for n in (2, 900))
    assert few == many
    assert hash(few) == hash(many)
    assert {b.shape[0] for b in few.arguments if b.name != "w"} == {None}


def test_groups_split_the_channel_axis() -> None:
    sum_ = conv("channels_last", 2, dense(2, 8, 8, 4), dense(3, 3, 2, 6))
    buffers = {b.name: b for b in sum_.arguments}
    assert buffers["x"].shape == (None, 8, 8, 2, 2)
    assert buffers["x"].strides == (256, 32, 4, 2, 1)
    assert buffers["w"].shape == (3, 3, 2, 2, 3)
    assert (sum_.extent("g"), sum_.extent("k"), sum_.extent("c")) == (2, 3, 2)


def test_memory_in_the_other_layout_is_used_as_it_lies() -> None:
    nhwc = np.empty((2, 8, 8, 4), "float32")
    sum_ = conv(
        "channels_first", 1, lies(nhwc.transpose(0, 3, 1, 2)), dense(5, 4, 3, 3)
    )
    buffers = {b.name: b for b in sum_.arguments}
    assert buffers["x"].shape == (None, 4, 8, 8)
    assert buffers["x"].strides == (256, 1, 32, 4)


def test_a_bias_of_groups_is_a_matrix() -> None:
    window = Window((1,), (1,), (1,), ((0, 0),), 2)
    op = ops.Conv(window, "channels_first", "y", (4,), True)
    inputs = (dense(2, 4, 4), dense(6, 2, 1), dense(6))
    found = bind(op, inputs, (dense(2, 6, 4),))
    assert isinstance(found, Program)
    bias = found.arguments[-1]
    assert [b.name for b in found.arguments] == ["y", "x", "w", "b"]
    assert (bias.shape, bias.strides) == ((2, 3), (3, 1))
    assert "y[n, g, k, p] = add(y[n, g, k, p], b[g, k])" in show(found)


def test_a_maximum_writes_values_and_places() -> None:
    op = ops.MaxPool(Window.make("test", (2, 3)), "channels_first", (8, 8))
    out = op.infer(TensorType((2, 3, 8, 8), FLOATS))
    found = bind(op, (dense(2, 3, 8, 8),), tuple(map(Operand.dense, out)))
    assert isinstance(found, Program)
    nest = Nest.of(found)
    assert nest.reduction.kind == "argmax"
    assert [b.name for b in found.arguments] == ["y", "where", "x"]
    position = nest.values[1]
    assert isinstance(position, Position)
    # Tap (r, s) of a 2x3 window has number 3 r + s.
    assert position.value == Affine.of({"r": 3, "s": 1})


def test_sums_over_trailing_axes_go_by_rows() -> None:
    found = bind(ops.Reduce("max", (1, 2)), (dense(5, 3, 4),), (dense(5),))
    assert isinstance(found, RowWise)
    assert found.source.shape == (None, 12)
    assert found.out.shape == (None,)


def test_sums_over_the_first_axis_are_sums_over_images() -> None:
    found = bind(ops.Reduce("sum", (0,)), (dense(5, 3),), (dense(3),))
    assert isinstance(found, Program)
    assert "n" not in Nest.of(found).outputs()
    all_ = bind(ops.Reduce("sum", (0,)), (dense(5),), (dense(),))
    assert isinstance(all_, Program)
    assert Nest.of(all_).extent("unit") == 1


def test_what_no_kernel_computes_is_our_bug() -> None:
    with pytest.raises(InternalError, match="no kernel computes Reshape"):
        bind(ops.Reshape((6,)), (dense(2, 3),), (dense(6),))
    with pytest.raises(InternalError, match="needs its kept axes in front"):
        bind(ops.Reduce("max", (0,)), (dense(2, 3),), (dense(3),))
