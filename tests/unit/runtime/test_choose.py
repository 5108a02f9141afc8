"""Settings that change the speed but not a bit."""

import numpy as np
import pytest

from rot180 import kernels, ops, runtime
from rot180.errors import ArgumentError
from rot180.kernels import Pointwise, Sum
from rot180.ops import TensorType, Window
from rot180.runtime import _choose as choose
from rot180.runtime._bind import Bound, Operand, bind

WINDOW = Window.make("test", (3, 3), padding=1)
CONV = ops.Conv(WINDOW, "channels_last", "y", (9, 7))
X = TensorType((2, 9, 7, 8), "float32")
W = TensorType((3, 3, 8, 12), "float32")


def bound(op: ops.Op, *types: TensorType) -> Bound:
    outputs = tuple(map(Operand.dense, op.infer(*types)))
    return bind(op, tuple(map(Operand.dense, types)), outputs)


def test_the_best_is_chosen_and_another_can_be_forced() -> None:
    sum_ = bound(CONV, X, W)
    assert isinstance(sum_, Sum)
    target = choose.target()
    tiles = choose.candidates(sum_, target)
    assert tiles == kernels.candidates(sum_, target)
    assert choose.chosen(sum_, target) == tiles[0]
    for number, tile in enumerate(tiles):
        with runtime.force_schedule(number):
            assert choose.chosen(sum_, target) == tile
    with runtime.force_schedule(999):
        assert choose.chosen(sum_, target) == tiles[-1]
    assert choose.chosen(sum_, target) == tiles[0]


def test_a_formula_has_nothing_to_choose() -> None:
    formula = bound(ops.Pointwise("neg"), X)
    assert isinstance(formula, Pointwise)
    assert choose.chosen(formula, choose.target()) is None


def test_settings_end_with_an_error_and_nest() -> None:
    before = choose._settings
    with pytest.raises(RuntimeError), runtime.force_schedule(3):  # noqa: PT012
        with runtime.force_reference():
            assert not choose.is_compiling()
            assert choose._settings.schedule == 3
        raise RuntimeError
    assert choose._settings == before


def test_an_unknown_target_is_refused() -> None:
    with pytest.raises(ArgumentError, match="pdp11"), runtime.force_target("pdp11"):
        pass


def test_listeners_hear_of_every_change(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    monkeypatch.setattr(choose, "_listeners", [])
    choose.on_change(lambda: heard.append("change"))
    with runtime.force_schedule(1):
        assert len(heard) == 1
    assert len(heard) == 2
    with runtime.force_target("baseline"):
        assert len(heard) == 3
    assert len(heard) == 4


def test_every_candidate_gives_the_same_bits() -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(t.shape).astype("float32") for t in (X, W)]
    sum_ = bound(CONV, X, W)
    assert isinstance(sum_, Sum)
    results = []
    for number in range(len(choose.candidates(sum_, choose.target()))):
        with runtime.force_schedule(number):
            results += runtime.run(CONV, *arrays)
    assert len(results) > 1
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])
