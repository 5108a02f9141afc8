"""The benchmark of whole networks compares like with like and counts right."""

from pathlib import Path
from types import ModuleType
from typing import Any

import click
import numpy as np
import pytest

import rot180
from benchmarks import _floor, _net_child
from benchmarks._net_sides import Ours, Problem
from benchmarks._nets import NETS, OURS, build
from rot180 import functional, nn, runtime, train

each = pytest.mark.parametrize("name", NETS)


def tiny(name: str) -> Problem:
    return Problem.of(NETS[name].tiny, 2)


@each
def test_both_frameworks_have_the_same_network(name: str, torch: ModuleType) -> None:
    from benchmarks import _net_rivals

    ours = build(NETS[name].part, OURS)
    assert ours.names() == list(_net_rivals.weights_of(NETS[name]))


@each
def test_both_frameworks_give_the_same_scores(name: str, torch: ModuleType) -> None:
    from benchmarks import _net_rivals

    problem = tiny(name)
    weights = _net_rivals.weights_of(problem.net)
    with runtime.force_reference():  # the meaning of the ops, without compiling any
        scores = Ours(problem, weights).infer()
    assert np.allclose(scores, _net_rivals.Torch(problem, weights).infer(), atol=1e-5)


# With ReLU6, below, they have every kind of layer; the benchmark checks all four.
@pytest.mark.parametrize("name", ["lenet", "resnet20"])
def test_both_frameworks_do_the_same_step(name: str, torch: ModuleType) -> None:
    from benchmarks import _net_check

    with runtime.force_reference():
        found = _net_check.errors(tiny(name))
    assert found.is_right, found


def test_relu6_is_pytorchs_below_and_above_six(torch: ModuleType) -> None:
    x = np.array([-7, -0.5, 0, 0.5, 3, 5.5, 6.5, 40], np.float32)
    given = torch.from_numpy(x.copy()).requires_grad_()
    expected = torch.nn.ReLU6()(given)
    expected.sum().backward()
    relu6 = OURS["ReLU6"]()

    def summed(x: Any) -> Any:
        return functional.total(relu6.apply({}, {}, x, training=True)[0])

    with runtime.force_reference():
        y, dx = relu6.apply({}, {}, x, training=True)[0], rot180.grad(summed)(x)
    assert y.tolist() == expected.tolist()
    assert dx.tolist() == given.grad.tolist()


def test_a_step_that_is_wrong_is_not_timed(torch: ModuleType) -> None:
    from benchmarks import _net_check, _net_rivals

    class Forgetful(Ours):
        """The momentum is lost between steps, which shows in the second."""

        def step(self) -> Any:
            params, state, _ = self.kept
            self.kept = params, state, train.SGD(0.01, momentum=0.9).init(params)
            return super().step()

    problem = tiny("lenet")
    with runtime.force_reference():
        weights = _net_rivals.weights_of(problem.net)
        assert not _net_check.errors(problem, Forgetful(problem, weights)).is_right


def test_a_step_without_numbers_is_wrong(torch: ModuleType) -> None:
    from benchmarks import _net_check, _net_rivals

    problem = tiny("lenet")
    weights = _net_rivals.weights_of(problem.net)
    weights["0.bias"] = np.full_like(weights["0.bias"], np.nan)
    with runtime.force_reference():
        assert not _net_check.errors(problem, Ours(problem, weights)).is_right


def test_lenet_is_the_librarys() -> None:
    assert build(NETS["lenet"].part, OURS).names() == nn.models.LeNet().names()


def test_the_layers_of_lenet_are_found(torch: ModuleType) -> None:
    from benchmarks import _net_rivals

    problem = Problem.of(NETS["lenet"], 1)
    found = _net_rivals.layers_of(problem)
    # 28*28*6*25, 10*10*16*150, 400*120, 120*84, 84*10
    assert [layer.macs for layer in found] == [117600, 240000, 48000, 10080, 840]
    assert [layer.is_first for layer in found] == [True, False, False, False, False]
    assert _net_rivals.parameters_of(problem.net) == 61706


# Two images of 3 channels, 4 filters of 3x3 without padding: 5x5 becomes 3x3.
CONV = _floor.Layer((2, 3, 5, 5), (4, 3, 3, 3), (2, 4, 3, 3))


def test_the_floor_of_a_convolution() -> None:
    macs = 72 * 27  # each of 72 outputs sums 27 products
    x, w, y = 150, 108, 72
    assert _floor.inference([CONV]) == _floor.Work(macs, 4 * (x + w + y))
    forward, backward = x + w + y, y + x + w + x
    update = 4 * w
    assert _floor.training([CONV], w) == _floor.Work(
        3 * macs, 4 * (forward + backward + update)
    )


def test_the_first_layer_has_no_input_gradient() -> None:
    first = _floor.Layer(CONV.x, CONV.w, CONV.y, is_first=True)
    assert _floor.training([first], 0) == _floor.Work(
        2 * 72 * 27, 4 * (150 + 108 + 72 + 72 + 150)
    )


def test_a_depthwise_filter_sums_its_own_channel() -> None:
    depthwise = _floor.Layer((1, 8, 6, 6), (8, 1, 3, 3), (1, 8, 6, 6))
    assert depthwise.macs == 8 * 36 * 9


def test_the_floor_adds_arithmetic_and_memory() -> None:
    work = _floor.Work(macs=3 * 10**9, bytes=5 * 10**9)
    assert work.seconds(gflops=100.0, gbytes=20.0) == pytest.approx(0.06 + 0.25)


def test_the_lines_stand_below_their_headings(torch: ModuleType) -> None:
    from benchmarks import bench_nets

    sides = {"ours": 0.002, "torch first": 0.004, "torch last": 0.003}
    row = {"net": "lenet", "batch": 64, "seconds": sides, "ratio": 1.5, "floor": 0.001}
    line = bench_nets.inference_line(row)
    cells = ["lenet", "64", "2.00", "4.00", "3.00", "not", "installed"]
    assert line.split() == [*cells, "1.50", "-", "1.00", "50%"]
    assert len(line) == len(bench_nets.INFERENCE_HEADING)
    with_onnx = row | {"seconds": sides | {"onnx": 0.001}}
    assert " 0.50 " in bench_nets.inference_line(with_onnx)
    line = bench_nets.step_line(row)
    assert line.split()[5:] == ["-", "1.50", "1.00", "50%"]
    assert len(line) == len(bench_nets.STEPS_HEADING)


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="reads Linux's /proc"
)
def test_the_peak_within_a_step_is_seen_and_what_later_steps_keep() -> None:
    size, kept = 64 * 2**20, []

    def step() -> None:
        np.ones(size, np.uint8)  # released again at once

    found = _net_child._memory(step, 12)
    assert 60 < found["growth"] < 80
    assert found["later"] < 8

    def leaking() -> None:
        kept.append(np.ones(size // 8, np.uint8))

    assert 14 < _net_child._memory(leaking, 12)["later"] < 24  # two steps of 8


@pytest.mark.parametrize("text", ["a", "0", "-1", "4,,1.5"])
def test_a_batch_that_is_none_is_refused(text: str, torch: ModuleType) -> None:
    from benchmarks import bench_nets

    with pytest.raises(click.BadParameter, match="is no number of images"):
        bench_nets._sizes(text)
    assert bench_nets._sizes("1,4") == [1, 4]
