"""Settings that change the speed but not a bit."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from helpers import child_environment, python

from rot180 import autograd, ops, runtime, schedules
from rot180.errors import ArgumentError
from rot180.lower._ops import Operand, bind
from rot180.ops import TensorType, Window
from rot180.program import Program
from rot180.runtime import _choose as choose
from rot180.schedules import Bound, Pointwise

WINDOW = Window.make("test", (3, 3), padding=1)
CONV = ops.Conv(WINDOW, "channels_last", "y", (9, 7))
X = TensorType((2, 9, 7, 8), "float32")
W = TensorType((3, 3, 8, 12), "float32")


def bound(op: ops.Op, *types: TensorType) -> Bound:
    outputs = tuple(map(Operand.dense, op.infer(*types)))
    return bind(op, tuple(map(Operand.dense, types)), outputs)


def test_the_best_is_chosen_and_another_can_be_forced() -> None:
    sum_ = bound(CONV, X, W)
    assert isinstance(sum_, Program)
    target = choose.target()
    tiles = choose.candidates(sum_, target)
    assert tiles == schedules.candidates(sum_, target)
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


@pytest.mark.parametrize("compiling", ["0", "1"])
def test_the_environment_says_whether_to_compile(
    compiling: str, tmp_path: Path
) -> None:
    program = """
import numpy as np, rot180
x, w = np.arange(24.0).reshape(1, 2, 3, 4), np.ones((1, 2, 2, 2))
loss = lambda w: (rot180.max_pool(rot180.conv(x, w), 2) ** 2).sum()
print(rot180.value_and_grad(loss)(w)[0])
"""
    done = subprocess.run(
        python("-c", program),
        capture_output=True,
        text=True,
        check=True,
        env=child_environment(ROT180_CACHE_DIR=str(tmp_path), ROT180_COMPILE=compiling),
    )
    assert done.stdout == "11664.0\n"
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert bool(kept) == (compiling == "1")


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
    assert isinstance(sum_, Program)
    results = []
    for number in range(len(choose.candidates(sum_, choose.target()))):
        with runtime.force_schedule(number):
            results += autograd.run(CONV, *arrays)
    assert len(results) > 1
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])
