"""Batch normalisation: the short gradient is that of the formula it stands for."""

from typing import Any

import numpy as np
import pytest

from rot180 import ops
from rot180.autograd import grad

NUMBERS = np.random.default_rng(0)
SHAPE = (3, 2, 4)
ARRAYS = (NUMBERS.normal(size=SHAPE), *NUMBERS.normal(size=(2, 2)))
COTANGENTS = (NUMBERS.normal(size=SHAPE), *NUMBERS.normal(size=(2, 2)))


def _loss(arrays: Any, outputs: tuple[int, ...], *, expand: bool) -> Any:
    """A sum over some of the outputs, bent so that second gradients are not zero."""
    op = ops.BatchNorm(eps=0.1)
    results = op.expand(*arrays) if expand else ops.apply_all(op, *arrays)
    terms = [(results[i] * results[i] * COTANGENTS[i]).sum() for i in outputs]
    return sum(terms[1:], start=terms[0])


@pytest.mark.parametrize("outputs", [(0,), (1,), (2,), (1, 2), (0, 1, 2)], ids=str)
def test_first_and_second_gradients_are_those_of_the_expansion(
    outputs: tuple[int, ...],
) -> None:
    def slope(arrays: Any, *, expand: bool) -> Any:
        x, w, b = grad(lambda a: _loss(a, outputs, expand=expand))(arrays)
        return (x * x * x).sum() + (w * w).sum() + (b * b).sum()

    for function in (lambda a, expand: _loss(a, outputs, expand=expand), slope):
        short = grad(lambda a, f=function: f(a, expand=False))(ARRAYS)
        long = grad(lambda a, f=function: f(a, expand=True))(ARRAYS)
        for one, other in zip(short, long, strict=True):
            scale = max(np.abs(other).max(), 1)
            assert np.abs(one - other).max() <= 1e-13 * scale


def test_only_the_inputs_that_are_needed_are_differentiated() -> None:
    x, w, b = ARRAYS
    alone = grad(lambda w: ops.apply_all(ops.BatchNorm(), x, w, b)[0].max())(w)
    together = grad(lambda a: ops.apply_all(ops.BatchNorm(), *a)[0].max())(ARRAYS)
    assert (alone == together[1]).all()
