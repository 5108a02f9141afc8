"""What is explained: a setting's passes, with names and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from rot180.errors import ArgumentError
from rot180.explain._equations import Number, Position, Values
from rot180.explain._layers import Layer, layer
from rot180.explain._network import network
from rot180.explain._passes import Pass
from rot180.explain._read import whole
from rot180.explain._setting import Setting
from rot180.explain._tensors import Names, Tensor
from rot180.explain._values import given_numbers, random_numbers

RANDOM: Final = "random"
LETTERS: Final = "letters"
_MOST_SEED: Final = 10**9


@dataclass(frozen=True, slots=True)
class Explained:
    """A layer or a small network, forward and backward, number by number.

    Attributes:
        setting: What is explained.
        layers: The layer, or those of the network in the order of the forward pass.
        tensors: All tensors by name, in the order in which they are met.
        passes: Each computes one of them; in the order of computing.
        names: What the numbers are called.
        values: The numbers, given and computed, by tensor and position; None where it
            is explained in letters only.
        seed: Of the random numbers.
        typed: The tensors whose numbers were passed, and are not random.
    """

    setting: Setting
    layers: tuple[Layer, ...]
    tensors: Mapping[str, Tensor]
    passes: tuple[Pass, ...]
    names: Names
    values: Values | None
    seed: int = 0
    typed: tuple[str, ...] = ()

    @property
    def given(self) -> tuple[str, ...]:
        """The tensors whose numbers are given: no pass computes them."""
        computed = {found.out for found in self.passes}
        return tuple(name for name in self.tensors if name not in computed)

    def numbered(self) -> Explained:
        """Returns the same with numbers: where there are none, those of its seed."""
        if self.values is not None:
            return self
        return explained(self.setting, seed=self.seed, count_from=self.names.count_from)


def explained(
    what: Setting, values: Any = RANDOM, *, seed: int = 0, count_from: int = 1
) -> Explained:
    """Explains a setting; the arguments are those of `explain`."""
    _check(count_from in (0, 1), "count_from", count_from, "Count from 1 or from 0.")
    with suppress(TypeError):
        seed = whole(seed)
    is_seed = type(seed) is int and 0 <= seed < _MOST_SEED
    _check(is_seed, "seed", seed, f"Pass an integer from 0 on, below {_MOST_SEED:,}.")
    layers, tensors, passes = _built(what)
    names = Names.of(tensors.values(), what.hidden, int(count_from))
    found = Explained(what, layers, tensors, passes, names, None, seed)
    if isinstance(values, str) and values == LETTERS:
        return found
    arrays = {} if isinstance(values, str) else values
    given = _given(found, arrays, seed)
    return replace(found, values=_computed(given, passes), typed=tuple(arrays))


def _check(holds: bool, name: str, value: Any, remedy: str) -> None:
    if not holds:
        raise ArgumentError(f"explain: {name} is {value!r:.40}\n  {remedy}")


@lru_cache(maxsize=32)
def _built(
    what: Setting,
) -> tuple[tuple[Layer, ...], Mapping[str, Tensor], tuple[Pass, ...]]:
    """Returns layers, tensors and passes, which do not depend on the numbers."""
    if what.layer == "network":
        whole = network(what)
        return whole.layers, _met(whole.tensors, whole.passes), whole.passes
    one = layer(what)
    passes = (one.forward, *one.backward)
    return (one,), _met(one.tensors, passes), passes


def _met(tensors: Mapping[str, Tensor], passes: tuple[Pass, ...]) -> dict[str, Tensor]:
    """The tensors that occur, in the order in which the passes meet them."""
    order = [name for found in passes for name in (*found.operands, found.out)]
    return {name: tensors[name] for name in dict.fromkeys(order)}


def _given(
    found: Explained, arrays: Mapping[str, Any], seed: int
) -> dict[str, Mapping[Position, Number]]:
    for name in arrays:
        if name not in found.given:
            raise ArgumentError(
                f"explain: there are no values {str(name)[:40]!r} to give\n"
                f"  Give some of {', '.join(found.given)}."
            )
    return {
        name: given_numbers(found.tensors[name], arrays[name])
        if name in arrays
        else random_numbers(found.tensors[name], seed)
        for name in found.given
    }


def _computed(
    given: Mapping[str, Mapping[Position, Number]], passes: tuple[Pass, ...]
) -> Values:
    known = Values(given)
    for found in passes:
        known[found.out] = {line.cell.at: line.value(known) for line in found.equations}
    return known
