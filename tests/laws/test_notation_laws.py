"""The laws of the notation, on small integers, in plain Python, with ==."""

import itertools
import math
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from rot180.notation import Contraction, contraction, evaluate, evaluate_pieces
from rot180.ops import Window, conv_formula, pool_formula

Values = dict[tuple[int, ...], int]


@dataclass(frozen=True)
class Case:
    """One bound formula with its operands."""

    forward: Contraction
    shapes: dict[str, tuple[int, ...]]
    values: dict[str, Values]
    extents: dict[str, int]


def positions(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    return list(itertools.product(*(range(extent) for extent in shape)))


def fill(shape: tuple[int, ...], seed: int) -> Values:
    places = positions(shape)
    return {p: (seed + 7 * i * i + 3 * i) % 7 - 3 for i, p in enumerate(places)}


def inner(a: Values, b: Values) -> int:
    return sum(value * b[place] for place, value in a.items())


@st.composite
def windows(draw: st.DrawFn, rank: int) -> tuple[Window, tuple[int, ...]]:
    dims = []
    for _ in range(rank):
        kernel = draw(st.integers(1, 4))
        dilation = draw(st.integers(1, 3 if rank == 1 else 2))
        stride = draw(st.integers(1, 5 if rank == 1 else 3))
        low, high = draw(st.integers(-2, 4)), draw(st.integers(-2, 4))
        span = (kernel - 1) * dilation + 1
        least = max(0, span - low - high)
        size = least + draw(st.integers(0, 5 if rank == 1 else 3))
        dims.append((kernel, stride, dilation, (low, high), size))
    kernel, stride, dilation, padding, size = zip(*dims, strict=True)
    flip = draw(st.booleans())
    return Window(kernel, stride, dilation, padding, 1, flip), size


@st.composite
def convolutions(draw: st.DrawFn) -> Case:
    rank = draw(st.integers(1, 2))
    window, size = draw(windows(rank))
    grouped = draw(st.booleans())
    layout = draw(st.sampled_from(["channels_first", "channels_last"]))
    formula = conv_formula(rank, layout, grouped, window.flip)
    forward = formula.bind(**window.parameters())
    extents = {
        "n": draw(st.integers(0, 2)),
        "g": draw(st.integers(1, 2)),
        "k": draw(st.integers(0, 2)),
        "c": draw(st.integers(0, 2)),
        **dict(zip("pq", window.output_size(size), strict=False)),
        **dict(zip("rs", window.kernel_size, strict=False)),
    }
    shapes = {}
    for access in forward.accesses:
        spatial = iter(size)
        shapes[access.tensor] = tuple(
            next(spatial) if len(axis.terms) == 2 else extents[axis.indices[0]]
            for axis in access.axes
        )
    seed = draw(st.integers(0, 6))
    values = {
        "x": fill(shapes["x"], seed),
        "w": fill(shapes["w"], seed + 1),
        "dy": fill(shapes["y"], seed + 2),
    }
    extents = {name: extents[name] for name in forward.indices}
    return Case(forward, shapes, values, extents)


@settings(max_examples=150)
@given(convolutions())
def test_one_sum_serves_all_three_passes(case: Case) -> None:
    """`<dy, y> == <dx, x> == <dw, w>`: the triple law."""
    passes = {"y": case.forward, "x": case.forward.adjoint("x")}
    passes["w"] = case.forward.adjoint("w")
    results = {
        name: evaluate(formula, case.values, case.extents, case.shapes[name])
        for name, formula in passes.items()
    }
    product = inner(results["y"], case.values["dy"])
    assert product == inner(results["x"], case.values["x"])
    assert product == inner(results["w"], case.values["w"])


@settings(max_examples=150)
@given(convolutions())
def test_gather_equals_scatter(case: Case) -> None:
    for name in ("y", "x", "w"):
        formula = case.forward if name == "y" else case.forward.adjoint(name)
        scattered = evaluate(formula, case.values, case.extents, case.shapes[name])
        gathered = evaluate_pieces(
            formula.gather(), case.values, case.extents, case.shapes[name]
        )
        assert gathered == scattered


@given(convolutions(), st.sampled_from(["x", "w"]))
def test_adjoint_of_adjoint_is_the_original(case: Case, wrt: str) -> None:
    adjoint = case.forward.adjoint(wrt)
    assert adjoint.adjoint("dy") == case.forward


@given(convolutions())
def test_printing_and_reading_give_the_same_formula(case: Case) -> None:
    for wrt in ("x", "w"):
        formula = case.forward.adjoint(wrt)
        again = contraction(str(formula))
        assert str(again) == str(formula)
        assert again.out == formula.out
        assert again.factors == formula.factors
        assert set(again.indices) == set(formula.indices)


@settings(max_examples=60)
@given(st.data())
def test_pooling_sums_obey_the_same_laws(data: st.DataObject) -> None:
    window, size = data.draw(windows(1))
    formula = pool_formula(1, "channels_first", "+=")
    plain = Window(window.kernel_size, window.stride, window.dilation, window.padding)
    forward = formula.bind(**plain.parameters())
    (p,) = window.output_size(size)
    extents = {"n": 1, "c": 2, "p": p, "r": window.kernel_size[0]}
    x, dy = fill((1, 2, *size), 1), fill((1, 2, p), 2)
    y = evaluate(forward, {"x": x}, extents, (1, 2, p))
    adjoint = forward.adjoint("x")
    dx = evaluate(adjoint, {"dy": dy}, extents, (1, 2, *size))
    assert inner(y, dy) == inner(dx, x)
    pieces = adjoint.gather()
    assert evaluate_pieces(pieces, {"dy": dy}, extents, (1, 2, *size)) == dx


@given(st.integers(1, 6), st.integers(1, 6), st.integers(-3, 3), st.integers(1, 6))
def test_gather_has_a_piece_for_each_residue(
    stride: int, dilation: int, pad: int, taps: int
) -> None:
    forward = contraction("y[p] += x[p*stride + r*dilation - pad] * w[r]")
    bound = forward.bind(stride=stride, dilation=dilation, pad=pad)
    pieces = bound.adjoint("x").gather()
    assert len(pieces) == stride
    common = math.gcd(stride, dilation)
    empty = [piece for piece in pieces if piece.contraction is None]
    assert len(empty) == stride - stride // common
    for piece in pieces:
        if piece.contraction is not None:
            (dy, w) = piece.contraction.factors
            # The position advances by one while the filter runs backwards.
            assert dy.axes[0].coefficient(piece.residues[0].index) == 1
            assert dy.axes[0].coefficient("r") == -dilation // common
            assert w.axes[0].coefficient("r") == stride // common
