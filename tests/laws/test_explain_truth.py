"""What explain says is so: its equations, read back, give the reference."""

import numpy as np
import pytest
from explain_cases import draw
from laws_of_explain import assert_true
from sweeps import parts

CHUNKS, EACH = 20, 500


@pytest.mark.parametrize("chunk", parts(CHUNKS))
def test_every_equation_of_ten_thousand_examples(chunk: int) -> None:
    rng = np.random.default_rng(chunk)
    for _ in range(EACH):
        assert_true(draw(rng), count_from=int(rng.integers(2)))


@pytest.mark.parametrize("count_from", [0, 1])
def test_a_wrong_number_is_noticed(count_from: int) -> None:
    example = draw(np.random.default_rng(1))
    example.right["dX"].flat[-1] += 1
    with pytest.raises(AssertionError):
        assert_true(example, count_from)
