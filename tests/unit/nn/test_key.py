"""Keys: the same one always gives the same numbers."""

import numpy as np
import pytest

from rot180.errors import ArgumentError
from rot180.nn import Key


def test_a_key_gives_the_same_numbers_on_every_machine_and_in_every_version() -> None:
    drawn = Key.from_seed(0).uniform((3,), 0, 1, "float64")
    assert drawn.tolist() == [
        0.12359400887347416,
        0.3594881997570879,
        0.5040990406079543,
    ]


def test_keys_differ_by_seed_name_and_number() -> None:
    root = Key.from_seed(0)
    keys = [root, Key.from_seed(1), root.fold("a"), root.fold("b"), *root.split(3)]
    keys += [root.fold("a").fold("b"), root.fold("b").fold("a"), root.fold("0")]
    assert len({key.bits for key in keys}) == len(keys)


def test_a_key_is_not_used_up() -> None:
    key = Key.from_seed(3)
    assert (key.uniform((5,), -1, 1) == key.uniform((5,), -1, 1)).all()
    assert Key.from_seed(key) is key


def test_the_range_and_dtype_are_kept() -> None:
    drawn = Key.from_seed(0).uniform((1000,), -2, -1)
    assert drawn.dtype == np.float32
    assert drawn.min() >= -2
    assert drawn.max() <= -1


@pytest.mark.parametrize("seed", [-1, 1.5, True, "0", None])
def test_a_seed_is_an_integer_from_zero(seed: object) -> None:
    with pytest.raises(ArgumentError, match="is not an integer >= 0"):
        Key.from_seed(seed)  # type: ignore[arg-type]
