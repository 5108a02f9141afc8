"""Every law holds for correct code and breaks for code that breaks just it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from unit.check.judged import judge_of

from benchmarks.mutants import MUTANTS, correct_columns, correct_taps
from rot180.check.cases._case import Case, make
from rot180.check.cases._corners import corners
from rot180.check.judge._laws import LAWS, Law

Functions = dict[str, Callable[..., Any]]
T = correct_taps
BATCH = {"images": 3, "in_group": 2, "out_group": 2}
CONV = make(kernel_size=2, extra=4, **BATCH)
STRIDED = make(kernel_size=3, extra=4, stride=2, padding=(1, 0), groups=2, images=2)


def _law(kind: str, name: str) -> Law:
    return next(law for law in LAWS if (law.kind, law.name) == (kind, name))


def _broken(functions: Functions, case: Case) -> set[str]:
    """The names of the laws that code breaks."""
    judge = judge_of(functions)
    verdicts = {law.name: judge.law(law, case) for law in judge.laws(case)}
    return {name for name, v in verdicts.items() if v is not None and v.failures}


# --- code that is wrong in one way ---


def _doubled_dw(dy: Any, x: Any, shape: Any, **options: Any) -> Any:
    return 2 * T.conv_weight_grad(dy, x, shape, **options)


def _plus_one(x: Any, w: Any, b: Any = None, **options: Any) -> Any:
    return T.conv(x, w, b, **options) + 1


def _squared_filter(x: Any, w: Any, b: Any = None, **options: Any) -> Any:
    return T.conv(x, w * w, b, **options)


def _fading(x: Any, w: Any, b: Any = None, **options: Any) -> Any:
    y = T.conv(x, w, b, **options)
    return y * np.arange(1, 1 + y.shape[2], dtype=y.dtype)[:, None]


def _first_image_for_all(x: Any, w: Any, b: Any = None, **options: Any) -> Any:
    return T.conv(np.repeat(x[:1], len(x), axis=0), w, b, **options)


def _mean_over_images(dy: Any, x: Any, shape: Any, **options: Any) -> Any:
    return T.conv_weight_grad(dy, x, shape, **options) / max(len(x), 1)


def _transposed_backward(dy: Any, x: Any, w: Any, **options: Any) -> Any:
    dx, dw, db = T.conv_transpose_backward(dy, x, w, **options)
    return -dx, dw, db


def _transposed_plus_one(x: Any, w: Any, b: Any = None, **options: Any) -> Any:
    return T.conv_transpose(x, w, b, **options) + 1


def _to_all_ties(dy: Any, x: Any, kernel_size: Any, **options: Any) -> Any:
    """Only for windows that do not overlap."""
    y = T.max_pool(x, kernel_size, **options)
    rows = [a.repeat(2, axis=2).repeat(2, axis=3) for a in (y, dy)]
    return np.where(x == rows[0], rows[1], 0)


def _to_the_first_position(dy: Any, x: Any, kernel_size: Any, **options: Any) -> Any:
    dx = np.zeros_like(x)
    dx[:, :, ::2, ::2] = dy
    return dx


def _halved(dy: Any, shape: Any, kernel_size: Any, **options: Any) -> Any:
    return T.avg_pool_backward(dy, shape, kernel_size, **options) / 2


RIGHT: Functions = {
    "conv": T.conv,
    "conv_input_grad": T.conv_input_grad,
    "conv_weight_grad": T.conv_weight_grad,
}
TRANSPOSED: Functions = {
    "conv_transpose": T.conv_transpose,
    "conv_transpose_backward": T.conv_transpose_backward,
}
WHOLE = make("max_pool", kernel_size=2, stride=2, extra=4, images=2)
MEAN = make("avg_pool", kernel_size=3, stride=2, extra=4, images=2)
UP = make("conv_transpose", kernel_size=3, extra=3, stride=2, in_group=2, images=2)

# For each law the code, the case, and which laws are broken.
BREAKERS: dict[tuple[str, str], tuple[Functions, Case, set[str]]] = {
    ("conv", "adjoint"): (
        RIGHT | {"conv_weight_grad": _doubled_dw},
        CONV,
        {"adjoint", "double backward"},
    ),
    ("conv", "double backward"): (
        RIGHT | {"conv": _fading},
        CONV,
        {"adjoint", "double backward", "shift"},
    ),
    ("conv", "linear in x"): (
        {"conv": _plus_one},
        CONV,
        {"linear in x", "linear in w"},
    ),
    ("conv", "linear in w"): ({"conv": _squared_filter}, CONV, {"linear in w"}),
    ("conv", "shift"): ({"conv": _fading}, CONV, {"shift"}),
    ("conv", "batch split"): ({"conv": _first_image_for_all}, CONV, {"batch split"}),
    ("conv", "batch split of dw"): (
        {"conv_weight_grad": _mean_over_images},
        CONV,
        {"batch split of dw"},
    ),
    ("conv_transpose", "adjoint"): (
        TRANSPOSED | {"conv_transpose_backward": _transposed_backward},
        UP,
        {"adjoint"},
    ),
    ("conv_transpose", "linear in x"): (
        {"conv_transpose": _transposed_plus_one},
        UP,
        {"linear in x"},
    ),
    ("max_pool", "sum"): ({"max_pool_backward": _to_all_ties}, WHOLE, {"sum"}),
    ("max_pool", "ties"): (
        {"max_pool_backward": _to_the_first_position},
        WHOLE,
        {"ties"},
    ),
    ("avg_pool", "sum"): ({"avg_pool_backward": _halved}, MEAN, {"sum"}),
}


def test_every_law_has_code_that_breaks_it() -> None:
    assert set(BREAKERS) == {(law.kind, law.name) for law in LAWS}


@pytest.mark.parametrize("key", BREAKERS, ids=": ".join)
def test_a_law_convicts_code_that_breaks_it(key: tuple[str, str]) -> None:
    functions, case, expected = BREAKERS[key]
    assert key[1] in expected
    assert _broken(functions, case) == expected


@pytest.mark.parametrize("base", [correct_taps, correct_columns], ids=["taps", "cols"])
@pytest.mark.parametrize("law", LAWS, ids=lambda law: f"{law.kind}: {law.name}")
def test_a_law_holds_for_correct_code(law: Law, base: Any) -> None:
    judge = judge_of(base)
    # What the correct code declares not to have is left out by the run.
    lacks = {*base.UNSUPPORTED}
    fitting = [case for case in corners() if not case.features() & lacks]
    asked = [case for case in fitting if law in judge.laws(case)][:25]
    verdicts = [judge.law(law, case) for case in asked]
    assert len(asked) > 8
    assert all(verdict is not None and not verdict.failures for verdict in verdicts)


@pytest.mark.parametrize("values", [{}, {"layout": "channels_last"}, {"flip": True}])
def test_laws_hold_for_every_layout_and_a_flipped_filter(
    values: dict[str, Any],
) -> None:
    import rot180

    functions = {name: getattr(rot180, name) for name in RIGHT}
    case = make(kernel_size=(3, 2), extra=4, stride=2, **BATCH, **values)
    assert _broken(functions, case) == set()


def test_a_broken_law_names_the_call_that_the_oracle_finds_wrong() -> None:
    judge = judge_of(RIGHT | {"conv_weight_grad": _doubled_dw})
    verdict = judge.law(_law("conv", "adjoint"), CONV)
    assert verdict is not None
    assert verdict.law == "adjoint"
    (failure,) = verdict.failures
    assert (failure.function, failure.output) == ("conv_weight_grad", "dw")
    assert failure.law == "adjoint"
    assert failure.expected is not None


def test_a_law_takes_the_gradients_from_a_joint_backward_too() -> None:
    functions = {"conv": T.conv, "conv_backward": T.conv_backward}
    law = _law("conv", "adjoint")
    right = judge_of(functions).law(law, STRIDED)
    assert right is not None
    assert not right.failures

    def doubled(*arrays: Any, **options: Any) -> Any:
        dx, dw, db = T.conv_backward(*arrays, **options)
        return 2 * dx, dw, db

    wrong = judge_of(functions | {"conv_backward": doubled}).law(law, STRIDED)
    assert wrong is not None
    assert wrong.failures


def test_laws_are_asked_only_where_their_functions_are_there() -> None:
    names = {law.name for law in judge_of({"conv": T.conv}).laws(CONV)}
    assert names == {"linear in x", "linear in w", "shift", "batch split"}
    assert judge_of({"relu": T.relu}).laws(CONV) == []


def test_a_call_without_result_leaves_a_law_open() -> None:
    def declining(*_: Any, **__: Any) -> Any:
        raise NotImplementedError

    judge = judge_of(RIGHT | {"conv_input_grad": declining})
    assert judge.law(_law("conv", "adjoint"), CONV) is None


def test_a_gradient_that_is_not_given_leaves_a_law_open() -> None:
    def only_dx(dy: Any, x: Any, w: Any, **options: Any) -> Any:
        return T.conv_input_grad(dy, w, x.shape, **options), None, None

    judge = judge_of({"conv": T.conv, "conv_backward": only_dx})
    assert judge.law(_law("conv", "adjoint"), CONV) is None
    assert judge.law(_law("conv", "batch split of dw"), CONV) is None


def test_answers_that_do_not_fit_together_break_a_law() -> None:
    def cropped(*arrays: Any, **options: Any) -> Any:
        return T.conv(*arrays, **options)[:, :, 1:]

    assert "adjoint" in _broken(RIGHT | {"conv": cropped}, CONV)


def test_the_triple_alone_passes_a_consistently_wrong_forward() -> None:
    """That is why there is an oracle besides the laws."""
    flipped = next(m.subject for m in MUTANTS if m.name == "m02b")
    judge = judge_of(flipped)
    verdict = judge.law(_law("conv", "adjoint"), CONV)
    assert verdict is not None
    assert not verdict.failures
    assert any(verdict.failures for verdict in judge.verdicts(CONV))


def test_a_gradient_given_to_the_last_of_equal_values_is_right_too() -> None:
    def to_the_last(dy: Any, x: Any, kernel_size: Any, **options: Any) -> Any:
        dy, x = (np.ascontiguousarray(a[..., ::-1, ::-1]) for a in (dy, x))
        return T.max_pool_backward(dy, x, kernel_size, **options)[..., ::-1, ::-1]

    assert _broken({"max_pool_backward": to_the_last}, WHOLE) == set()
