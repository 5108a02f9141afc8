"""Mutants are wrong where they say so, and their correct twins nowhere."""

import ast
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import (
    Array,
    Choose,
    Pooling,
    Problem,
    assert_same,
    draw_pooling,
    draw_problem,
    from_rng,
    pick,
)

import rot180
from benchmarks import _checkers_table, mutants
from benchmarks.mutants import MUTANTS, Mutant, correct_columns, correct_taps
from rot180 import ops, reference

BASES = {"taps": correct_taps, "columns": correct_columns}
both = pytest.mark.parametrize("base", BASES.values(), ids=BASES)
each = pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)


@dataclass(frozen=True, slots=True)
class Config:
    """Shapes and options with which all functions can be called."""

    images: int = 2
    groups: int = 1
    in_group: int = 2
    out_group: int = 3
    size: tuple[int, ...] = (6, 7)
    kernel: tuple[int, ...] = (3, 3)
    stride: Any = 1
    padding: Any = 0
    dilation: Any = 1
    output_padding: Any = 0
    ceil_mode: bool = False
    count_include_pad: bool = True
    bias: int | None = None
    dtype: str = "float64"
    seed: int = 0


P = Config()
STRIDED = Config(stride=2, padding=1, size=(7, 7))
GROUPED = Config(groups=2)
POOLED = Config(kernel=(2, 2), stride=2, size=(5, 5), ceil_mode=True)

# Where each mistake shows, and a neighbour where it does not.
SHOWN: dict[str, tuple[Config, Config]] = {
    "m01a": (P, replace(P, kernel=(1, 1))),
    "m01b": (P, replace(P, kernel=(3, 1))),
    "m02a": (P, replace(P, kernel=(1, 1))),
    "m02b": (P, replace(P, kernel=(1, 1))),
    "m03a": (STRIDED, replace(STRIDED, dilation=2)),
    "m03b": (STRIDED, replace(STRIDED, dilation=2)),
    "m04a": (STRIDED, P),
    "m04b": (STRIDED, P),
    "m05a": (replace(P, padding=((2, 0), (0, 0))), replace(P, padding=1)),
    "m05b": (replace(P, padding=((0, 1), (0, 0))), replace(P, padding=1)),
    "m06a": (replace(STRIDED, size=(6, 7)), STRIDED),
    "m06b": (replace(STRIDED, size=(6, 7)), STRIDED),
    "m07a": (GROUPED, P),
    "m07b": (GROUPED, replace(GROUPED, out_group=1)),
    "m08a": (P, replace(P, images=1)),
    "m08b": (P, replace(P, size=(3, 3))),
    "m09a": (P, replace(P, kernel=(1, 1))),
    "m09b": (P, replace(P, kernel=(3, 1))),
    "m10a": (replace(P, images=0), P),
    "m10b": (replace(P, images=0), P),
    "m11a": (replace(STRIDED, output_padding=1), STRIDED),
    "m11b": (replace(STRIDED, output_padding=1), STRIDED),
    "m12a": (POOLED, replace(POOLED, ceil_mode=False)),
    "m12b": (
        replace(POOLED, padding=1, count_include_pad=False),
        replace(POOLED, padding=1, count_include_pad=False, ceil_mode=False),
    ),
    "m13a": (P, replace(P, stride=3)),
    "m13b": (P, replace(P, stride=3)),
    "m14a": (replace(P, dilation=0), replace(P, dilation=-1)),
    "m14b": (replace(P, dilation=(1, 0)), P),
    "m15a": (replace(P, bias=1), replace(P, bias=3)),
    "m15b": (replace(P, bias=4), replace(P, bias=2)),
    "m16a": (replace(P, kernel=(3, 2)), P),
    "m16b": (P, replace(P, padding=1)),
    "m17a": (replace(P, groups=24), replace(P, groups=23)),
    "m17b": (replace(P, in_group=9), replace(P, in_group=8)),
    "m18a": (replace(STRIDED, groups=2), STRIDED),
    "m18b": (replace(STRIDED, groups=2), GROUPED),
}


# --- the correct ones ---


@both
@pytest.mark.parametrize("seed", range(60))
def test_conv_is_the_reference(base: Any, seed: int) -> None:
    problem = _numbered(draw_problem(_choose(seed), layout="channels_first"))
    x, w, b, dy = problem.operands()
    y, dx, dw, db = problem.expected(x, w, b, dy)
    options = {k: v for k, v in problem.options.items() if k not in ("flip", "layout")}
    assert_same(base.conv(x, w, b if problem.bias else None, **options), y)
    assert_same(base.conv_input_grad(dy, w, x.shape, **options), dx)
    assert_same(base.conv_weight_grad(dy, x, w.shape, **options), dw)
    for got, expected in zip(
        base.conv_backward(dy, x, w, **options), (dx, dw, db), strict=True
    ):
        assert_same(got, expected)


@both
@pytest.mark.parametrize("seed", range(60))
def test_conv_transpose_is_the_reference(base: Any, seed: int) -> None:
    config = _drawn(_choose(seed), transposed=True)
    x, w, b = _transposed_operands(config)
    options = _transposed_options(config)
    op = ops.conv_transpose_op(
        "test", ops.type_of(x), ops.type_of(w), ops.type_of(b), **options
    )
    (y,) = reference.evaluate(op, x, w)
    dy = _small(y.shape, config, 9)
    (dx,) = reference.evaluate(replace(op, out="y"), dy, w)
    (dw,) = reference.evaluate(replace(op, out="w"), x, dy)
    (db,) = reference.evaluate(ops.ChannelSum("channels_first"), dy)
    column = b.reshape(-1, *(1 for _ in config.kernel))
    assert_same(base.conv_transpose(x, w, b, **options), y + column)
    for got, expected in zip(
        base.conv_transpose_backward(dy, x, w, **options), (dx, dw, db), strict=True
    ):
        assert_same(got, expected)


@both
@pytest.mark.parametrize("seed", range(60))
def test_max_pool_is_the_reference(base: Any, seed: int) -> None:
    problem = draw_pooling(_choose(seed), layout="channels_first")
    x, op = problem.values(), problem.op("max")
    y, index = reference.evaluate(op, x)
    dy = np.random.default_rng(seed).integers(-4, 5, y.shape).astype(x.dtype)
    select = ops.MaxSelect(op.window, "channels_first", "x", op.input_size)
    (dx,) = reference.evaluate(select, dy, index)
    options = _pool_options(problem) | {"dilation": problem.dilation}
    assert_same(base.max_pool(x, problem.kernel, **options), y)
    assert_same(base.max_pool_backward(dy, x, problem.kernel, **options), dx)


@both
def test_max_pool_hands_on_nan(base: Any) -> None:
    x = np.array([[[1.0, np.nan, 3.0, np.nan, 0.0]]])
    y = base.max_pool(x, 3, stride=2)
    assert np.isnan(y).all()
    dx = base.max_pool_backward(np.array([[[1.0, 10.0]]]), x, 3, stride=2)
    assert dx.tolist() == [[[0, 1, 0, 10, 0]]]


@both
@pytest.mark.parametrize("seed", range(60))
def test_avg_pool_is_ours(base: Any, seed: int) -> None:
    choose = _choose(seed)
    problem = draw_pooling(choose, layout="channels_first")
    x, options = problem.values(), _pool_options(problem)
    (total,) = reference.evaluate(problem.op("sum"), x)
    one = base.avg_pool(x, problem.kernel, divisor_override=1, **options)
    assert_same(one, total)
    options |= {
        "count_include_pad": bool(choose(0, 1)),
        "divisor_override": pick(choose, (None, None, 2)),
    }
    y = rot180.avg_pool(x, problem.kernel, **options)
    assert_same(base.avg_pool(x, problem.kernel, **options), y)
    # All windows of up to four positions a dimension divide this exactly.
    dy = 1728 * np.random.default_rng(seed).integers(-4, 5, y.shape).astype(x.dtype)
    dx = rot180.avg_pool_backward(dy, x.shape, problem.kernel, **options)
    assert_same(base.avg_pool_backward(dy, x.shape, problem.kernel, **options), dx)


@both
def test_pooling_takes_no_images_and_no_positions(base: Any) -> None:
    assert base.max_pool(np.zeros((0, 2, 4), "float32"), 2).shape == (0, 2, 2)
    nothing = np.zeros((2, 3, 0))
    assert (base.max_pool(nothing, 2, padding=1) == np.full((2, 3, 1), -np.inf)).all()
    assert (base.avg_pool(nothing, 2, padding=1) == np.zeros((2, 3, 1))).all()
    dx = base.max_pool_backward(np.ones((2, 3, 1)), nothing, 2, padding=1)
    assert dx.shape == nothing.shape


@both
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_relu(base: Any, dtype: str) -> None:
    x = np.array([-1, 0, 2], dtype)
    assert_same(base.relu(x), np.array([0, 0, 2], dtype))
    dy = np.array([3, 4, 5], dtype)
    assert_same(base.relu_backward(dy, x), np.array([0, 0, 5], dtype))


X, W = np.zeros((1, 4, 5, 5)), np.zeros((6, 2, 3, 3))


@both
@pytest.mark.parametrize(
    "call",
    [
        lambda s: s.conv(X, W, groups=2, dilation=0),
        lambda s: s.conv(X, W, groups=2, stride=0),
        lambda s: s.conv(X, W, groups=2, stride=(1, 1, 1)),
        lambda s: s.conv(X, W, groups=2, padding=(1, 1, 1)),
        lambda s: s.conv(X, W, groups=0),
        lambda s: s.conv(X, W, groups=1),
        lambda s: s.conv(X, W, groups=4),
        lambda s: s.conv(X, W, np.zeros(1), groups=2),
        lambda s: s.conv(X, W, np.zeros(7), groups=2),
        lambda s: s.conv(X, W, groups=2, padding=-2),
        lambda s: s.conv(X[0, 0], W),
        lambda s: s.conv_input_grad(np.zeros((1, 6, 3, 4)), W, X.shape, groups=2),
        lambda s: s.conv_transpose(X, W),
        lambda s: s.conv_transpose(X, np.zeros((4, 1, 2, 2)), output_padding=1),
        lambda s: s.max_pool(X, 2, dilation=0),
        lambda s: s.max_pool(X, 6),
        lambda s: s.max_pool(X[0, 0], 2),
        lambda s: s.avg_pool(X, 2, divisor_override=0),
        lambda s: s.relu_backward(X, W),
    ],
)
def test_what_means_nothing_is_refused(base: Any, call: Callable[[Any], Any]) -> None:
    with pytest.raises(ValueError, match=r"\d|shape"):
        call(base)


@both
def test_what_is_not_there_is_said_to_be(base: Any) -> None:
    with pytest.raises(NotImplementedError, match="padding by name"):
        base.conv(X, W, groups=2, padding="same")
    with pytest.raises(NotImplementedError, match="no image axis"):
        base.conv(X[0], W, groups=2)
    with pytest.raises(NotImplementedError, match="no image axis"):
        base.max_pool(X[0], (2, 2))


# --- the mutants ---


def test_there_are_two_of_each_kind() -> None:
    names = [f"m{kind:02}{which}" for kind in range(1, 19) for which in "ab"]
    assert [mutant.name for mutant in MUTANTS] == names == list(SHOWN)
    assert [mutant.kind for mutant in MUTANTS] == [int(n[1:3]) for n in names]
    assert len({mutant.title for mutant in MUTANTS}) == 36
    assert {m.kind for m in MUTANTS if m.lenient} == {14, 15}


@each
def test_a_mutant_is_found_by_its_name(mutant: Mutant) -> None:
    assert getattr(mutants, mutant.name) is mutant.subject
    assert mutant.name in dir(mutants)


def test_there_is_no_other_name() -> None:
    with pytest.raises(AttributeError, match="m19a"):
        mutants.m19a  # noqa: B018


@each
def test_a_mistake_shows_in_the_functions_that_it_names(
    mutant: Mutant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(np, "empty", _poisoned)
    shows, hides = SHOWN[mutant.name]
    assert _differing(mutant, shows) == set(mutant.functions)
    assert _differing(mutant, hides) == set()


@each
def test_a_mistake_shows_nowhere_else(
    mutant: Mutant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(np, "empty", _poisoned)
    for seed in range(12):
        config = _drawn(_choose(seed))
        assert _differing(mutant, config) <= set(mutant.functions), config


@each
def test_one_position_and_one_tap_are_right(mutant: Mutant) -> None:
    config = Config(images=1, size=(1, 1), kernel=(1, 1))
    assert _differing(mutant, config) == set()


def test_nothing_of_ours_is_imported() -> None:
    for path in sorted(Path(mutants.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Import(names=names):
                    roots = {alias.name.partition(".")[0] for alias in names}
                case ast.ImportFrom(module=module, level=0):
                    roots = {str(module).partition(".")[0]}
                case ast.ImportFrom(level=level):
                    assert level == 1
                    continue
                case _:
                    continue
            assert roots <= set(sys.stdlib_module_names) | {"numpy"}


def test_the_table_in_the_documentation_is_the_stored_one() -> None:
    text = _checkers_table.PAGE.read_text(encoding="utf-8")
    assert _checkers_table.page(text, _checkers_table.load()) == text


# --- calling all functions ---


def _differing(mutant: Mutant, config: Config) -> set[str]:
    """The functions of a mutant that do not do what those of its base do."""
    base = next(b for b in BASES.values() if isinstance(mutant.subject, type(b)))
    right, got = _outcomes(base, config), _outcomes(mutant.subject, config)
    for name, arrays in got.items():
        if mutant.lenient or isinstance(arrays, str):
            continue
        for array, expected in zip(arrays, right[name], strict=True):
            assert (array.shape, array.dtype) == (expected.shape, expected.dtype)
    return {name for name in right if not _equal(got[name], right[name])}


def _equal(got: Any, expected: Any) -> bool:
    if isinstance(got, str) or isinstance(expected, str):
        return isinstance(got, str) and isinstance(expected, str)
    return all(np.array_equal(a, b) for a, b in zip(got, expected, strict=True))


def _outcomes(subject: Any, config: Config) -> dict[str, Any]:
    """What each function returns, as a tuple, or the message of its refusal."""
    return {name: _outcome(call) for name, call in _calls(subject, config).items()}


def _outcome(call: Callable[[], Any]) -> tuple[Array, ...] | str:
    try:
        result = call()
    except ValueError as error:
        return str(error)
    return result if isinstance(result, tuple) else (result,)


def _calls(subject: Any, c: Config) -> dict[str, Callable[[], Any]]:
    w = _small((c.groups * c.out_group, c.in_group, *c.kernel), c, 2)
    x = _x(c)
    b = None if c.bias is None else _small((c.bias,), c, 3)
    options = {n: getattr(c, n) for n in ("stride", "padding", "dilation", "groups")}

    def dy() -> Array:
        return _small(subject.conv(x, w, **options).shape, c, 4)

    calls = {
        "conv": lambda: subject.conv(x, w, b, **options),
        "conv_input_grad": lambda: subject.conv_input_grad(dy(), w, x.shape, **options),
        "conv_weight_grad": lambda: subject.conv_weight_grad(
            dy(), x, w.shape, **options
        ),
        "conv_backward": lambda: subject.conv_backward(dy(), x, w, **options),
        "relu": lambda: subject.relu(x),
        "relu_backward": lambda: subject.relu_backward(x[::-1], x),
    }
    return calls | _transposed_calls(subject, c) | _pool_calls(subject, c)


def _transposed_calls(subject: Any, c: Config) -> dict[str, Callable[[], Any]]:
    x, w, _ = _transposed_operands(c)
    options = _transposed_options(c)
    b = None if c.bias is None else _small((c.bias,), c, 3)

    def dy() -> Array:
        return _small(subject.conv_transpose(x, w, **options).shape, c, 4)

    return {
        "conv_transpose": lambda: subject.conv_transpose(x, w, b, **options),
        "conv_transpose_backward": lambda: subject.conv_transpose_backward(
            dy(), x, w, **options
        ),
    }


def _pool_calls(subject: Any, c: Config) -> dict[str, Callable[[], Any]]:
    x, pairs = _x(c), _pairs(c)
    half = tuple(
        tuple(min(max(side, 0), k // 2) for side in pair)
        for pair, k in zip(pairs, c.kernel, strict=True)
    )
    both = {"stride": c.stride, "padding": half, "ceil_mode": c.ceil_mode}
    largest = both | {"dilation": c.dilation}
    mean = both | {"count_include_pad": c.count_include_pad}

    def dy(y: Array) -> Array:
        return _small(y.shape, c, 4)

    return {
        "max_pool": lambda: subject.max_pool(x, c.kernel, **largest),
        "max_pool_backward": lambda: subject.max_pool_backward(
            dy(subject.max_pool(x, c.kernel, **largest)), x, c.kernel, **largest
        ),
        "avg_pool": lambda: subject.avg_pool(x, c.kernel, **mean),
        "avg_pool_backward": lambda: subject.avg_pool_backward(
            dy(subject.avg_pool(x, c.kernel, **mean)), x.shape, c.kernel, **mean
        ),
    }


# --- drawing ---


def _choose(seed: int) -> Choose:
    return from_rng(np.random.default_rng(seed))


def _numbered(problem: Problem) -> Problem:
    """The problem with an image axis, the filter as it is and padding in numbers."""
    window = ops.Window.make(
        "test",
        problem.kernel,
        input_size=problem.size,
        stride=problem.stride,
        padding=problem.padding,
        dilation=problem.dilation,
    )
    images = 2 if problem.images is None else problem.images
    return replace(problem, images=images, flip=False, padding=window.padding)


def _drawn(choose: Choose, *, transposed: bool = False) -> Config:
    rank = choose(1, 3)
    problem = _numbered(draw_problem(choose, rank=rank, layout="channels_first"))
    known = {f.name for f in fields(Config)} & set(problem.__slots__)
    config = Config(**{n: getattr(problem, n) for n in known - {"bias"}})
    limits = [max(s, d) for s, d in zip(config.stride, config.dilation, strict=True)]
    more = tuple(choose(0, limit - 1) for limit in limits)
    config = replace(
        config,
        output_padding=more,
        ceil_mode=bool(choose(0, 1)),
        count_include_pad=bool(choose(0, 1)),
    )
    if transposed:  # of an extent that the padding leaves something of
        return replace(config, size=tuple(size + 6 for size in config.size))
    return config


def _small(shape: tuple[int, ...], c: Config, number: int) -> Array:
    rng = np.random.default_rng([c.seed, number])
    return rng.integers(-4, 5, shape).astype(c.dtype)


def _x(c: Config) -> Array:
    return _small((c.images, c.groups * c.in_group, *c.size), c, 1)


def _pairs(c: Config) -> tuple[tuple[int, int], ...]:
    return ops.Window.make("test", c.kernel, padding=c.padding).padding


def _transposed_operands(c: Config) -> tuple[Array, Array, Array]:
    w = _small((c.groups * c.in_group, c.out_group, *c.kernel), c, 5)
    return _x(c), w, _small((c.groups * c.out_group,), c, 6)


def _transposed_options(c: Config) -> dict[str, Any]:
    names = ("stride", "padding", "output_padding", "dilation", "groups")
    return {name: getattr(c, name) for name in names}


def _pool_options(problem: Pooling) -> dict[str, Any]:
    return {
        "stride": problem.stride,
        "padding": problem.padding,
        "ceil_mode": problem.ceil_mode,
    }


def _poisoned(shape: Any, dtype: Any = float) -> Array:
    """What `np.empty` may return: memory with something in it."""
    return np.full(shape, 77, dtype)
