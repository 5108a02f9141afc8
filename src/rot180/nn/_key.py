"""Random numbers from an explicit key: the same key gives the same numbers."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from rot180 import ops
from rot180.errors import ArgumentError


@dataclass(frozen=True, slots=True)
class Key:
    """The key of a counter-based generator (Philox).

    A key is a value: it is never used up, so using one twice gives the same numbers
    twice. Derive new ones with `fold` or `split`.

    Attributes:
        bits: 128 bits; make one from a seed with `Key.from_seed`.

    Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
    """

    bits: int

    def __post_init__(self) -> None:
        if not isinstance(self.bits, int) or not 0 <= self.bits < 1 << 128:
            raise ArgumentError(
                f"Key: {self.bits!r} is no number of 128 bits\n"
                "  Pass Key.from_seed(seed)."
            )

    @classmethod
    def from_seed(cls, seed: "int | Key") -> "Key":
        """Returns the key of a seed, an integer >= 0; a key stands for itself.

        Raises:
            ArgumentError: The seed is negative or not an integer.
        """
        if isinstance(seed, Key):
            return seed
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
            raise ArgumentError(f"seed {seed!r} is not an integer >= 0")
        return cls(_digest(b"seed", str(int(seed))))

    def fold(self, name: str | int) -> Self:
        """Returns the key that belongs to `name` under this one.

        Raises:
            ArgumentError: `name` is neither a text nor an integer.
        """
        if not isinstance(name, str | int | np.integer):
            raise ArgumentError(
                f"Key.fold: a {type(name).__name__} is no name\n"
                "  Pass a text or an integer."
            )
        kind = b"name" if isinstance(name, str) else b"number"
        return type(self)(_digest(self.bits.to_bytes(16, "little") + kind, str(name)))

    def split(self, count: int) -> tuple[Self, ...]:
        """Returns `count` keys independent of each other and of this one.

        Raises:
            ArgumentError: `count` is not an integer >= 0.
        """
        keys = ops.index_of(count)
        if keys is None or keys < 0:
            raise ArgumentError(f"Key.split: {count!r} is not an integer >= 0")
        return tuple(self.fold(i) for i in range(keys))

    def generator(self) -> np.random.Generator:
        """Returns NumPy's generator of this key, at its beginning."""
        return np.random.Generator(np.random.Philox(key=self.bits))

    def uniform(
        self, shape: Sequence[int], low: float, high: float, dtype: str = "float32"
    ) -> np.ndarray[Any, Any]:
        """Returns numbers drawn evenly from `low` to `high`.

        Raises:
            ArgumentError: No array is of that shape and dtype, or no numbers lie there.
        """
        if not ops.is_among(dtype, ops.FLOATS):
            raise ArgumentError(
                f"Key.uniform: dtype={dtype!r} is not available\n"
                '  Use "float32" or "float64".'
            )
        try:
            drawn = self.generator().uniform(low, high, tuple(shape))
        except (TypeError, ValueError, OverflowError) as error:
            raise ArgumentError(
                f"Key.uniform: no array of shape {shape} is from {low} to {high}: "
                f"{error}"
            ) from error
        return drawn.astype(dtype)


@dataclass(frozen=True, slots=True)
class BlankKey(Key):
    """A key for those who want shapes only: zeros, nothing drawn."""

    bits: int = 0

    def fold(self, name: str | int) -> Self:
        return self

    def uniform(
        self, shape: Sequence[int], low: float, high: float, dtype: str = "float32"
    ) -> np.ndarray[Any, Any]:
        return np.zeros(tuple(shape), dtype)


def _digest(prefix: bytes, text: str) -> int:
    raw = hashlib.blake2b(
        prefix + text.encode(errors="surrogatepass"), digest_size=16
    ).digest()
    return int.from_bytes(raw, "little")
