"""Gathering and evaluating, on formulas small enough to follow by hand."""

import math

from rot180.notation import (
    Affine,
    Polynomial,
    contraction,
    evaluate,
    evaluate_pieces,
    gather,
    residues,
)

CONV = contraction("y[p] += x[p*stride + r*dilation - pad] * w[r]")


def pieces(stride: int, dilation: int, pad: int) -> list[str]:
    bound = CONV.bind(stride=stride, dilation=dilation, pad=pad)
    return [str(piece.contraction or piece.out) for piece in gather(bound.adjoint("x"))]


def test_stride_one_is_the_rotated_filter() -> None:
    assert pieces(1, 1, 1) == ["dx[h] += dy[h - r + 1] * w[r]"]
    assert pieces(1, 2, 0) == ["dx[h] += dy[h - 2*r] * w[r]"]


def test_stride_two_has_two_residues() -> None:
    assert pieces(2, 1, 1) == [
        "dx[2*h] += dy[h - r] * w[2*r + 1] for h, r",
        "dx[2*h + 1] += dy[h - r + 1] * w[2*r] for h, r",
    ]


def test_residues_without_taps_write_zero() -> None:
    assert pieces(2, 2, 0) == ["dx[2*h] += dy[h - r] * w[r] for h", "dx[2*h + 1]"]
    assert pieces(4, 2, 1) == [
        "dx[4*h]",
        "dx[4*h + 1] += dy[h - r] * w[2*r + 1] for h, r",
        "dx[4*h + 2]",
        "dx[4*h + 3] += dy[h - r + 1] * w[2*r] for h, r",
    ]


def test_a_formula_that_gathers_already_is_one_piece() -> None:
    bound = CONV.bind(stride=2, dilation=1, pad=1)
    (piece,) = gather(bound)
    assert piece.contraction == bound
    assert piece.residues == ()
    assert bound.gather() == (piece,)


def test_backward_positions_are_inverted() -> None:
    formula = contraction("dw[R - 1 - r] += dy[p] * x[p + r]").bind(R=3)
    (piece,) = gather(formula)
    assert str(piece.contraction) == "dw[r] += dy[p] * x[p - r + 2]"


def test_positions_with_steps_and_no_taps_are_inverted() -> None:
    found = gather(contraction("y[p] += x[3*p + 4]").adjoint("x"))
    assert [str(piece.contraction or piece.out) for piece in found] == [
        "dx[3*h]",
        "dx[3*h + 1] += dy[h - 1]",
        "dx[3*h + 2]",
    ]


def test_pieces_know_their_extents() -> None:
    bound = CONV.bind(stride=3, dilation=1, pad=1).adjoint("x")
    extents = {"p": 4, "r": 4}
    found = [piece.extents(extents, (11,)) for piece in gather(bound)]
    assert found == [{"r": 1, "h": 4}, {"r": 1, "h": 4}, {"r": 2, "h": 3}]
    residue = gather(bound)[0].residues[0]
    assert (residue.step, residue.start, residue.tap_step) == (3, 0, 3)
    assert residue.position == Affine((("h", 3),))


def test_residues_beyond_the_filter_have_no_taps() -> None:
    bound = CONV.bind(stride=3, dilation=1, pad=0).adjoint("x")
    values = {"dy": {(0,): 5, (1,): 7}, "w": {(0,): 2}}
    result = evaluate_pieces(gather(bound), values, {"p": 2, "r": 1}, (6,))
    assert result == {(0,): 10, (1,): 0, (2,): 0, (3,): 14, (4,): 0, (5,): 0}


def test_residues_without_positions_are_left_out() -> None:
    bound = CONV.bind(stride=10**9, dilation=7, pad=3).adjoint("x")
    (found,) = residues(bound, (5,))
    assert [residue.start for residue in found] == [0, 1, 2, 3, 4]
    for residue in found:
        assert (7 * residue.tap_start - 3 - residue.start) % 10**9 == 0
        assert (residue.tap, residue.tap_step) == ("r", 10**9)


def test_two_residues_stay_of_a_stride() -> None:
    bound = CONV.bind(stride=4, dilation=2, pad=1).adjoint("x")
    for extent in (0, 1, 2):
        (found,) = residues(bound, (extent,))
        assert [residue.is_empty for residue in found] == [True, False]
        assert [residue.tap_step for residue in found] == [2, 2]
    assert residues(bound, (None,)) == residues(bound) == residues(bound, (99,))


def test_outside_reads_as_zero_and_writes_nothing() -> None:
    bound = CONV.bind(stride=1, dilation=1, pad=1)
    x = {(i,): i + 1 for i in range(3)}
    w = {(0,): 1, (1,): 10}
    y = evaluate(bound, {"x": x, "w": w}, {"p": 4, "r": 2}, (4,))
    assert list(y.values()) == [10, 21, 32, 3]
    dx = evaluate(bound.adjoint("x"), {"dy": y, "w": w}, {"p": 4, "r": 2}, (3,))
    assert list(dx.values()) == [121, 242, 323]


def test_maxima() -> None:
    pool = contraction("y[p] max= x[2*p + r - 1] for r")
    x = {(0,): -5, (1,): -7, (2,): 4}
    y = evaluate(pool, {"x": x}, {"p": 3, "r": 2}, (3,))
    assert list(y.values()) == [-5, 4, -math.inf]


def test_answers_in_letters() -> None:
    bound = CONV.bind(stride=1, dilation=1, pad=0)
    x = {(i,): Polynomial.name(f"x{i}") for i in range(3)}
    w = {(i,): Polynomial.name(f"w{i}") for i in range(2)}
    y = evaluate(bound, {"x": x, "w": w}, {"p": 2, "r": 2}, (2,))
    assert [str(value) for value in y.values()] == ["w0*x0 + w1*x1", "w0*x1 + w1*x2"]
