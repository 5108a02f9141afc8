"""What a compiled module promises to its caller: buffers, scratch and phases.

A module holds jobs, functions of the signature

    void job(i64 begin, i64 end, ptr pointers, ptr scratch, i64 n)

which compute the work items ``begin <= item < end``.  `pointers` holds the data
addresses of the arrays, then of the temporaries, then the call's watch; `n` is the
number of images.  A watch is null, or its first word is the address of a function

    i32 look(ptr watch)

which a job calls now and then if its items are long; where the answer is not 0 it
returns at once, its items unfinished.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Count:
    """A function of the image count: ``ceil(n / divisor) * factor + constant``.

    Attributes:
        factor: Multiplies the number of whole or partial groups of images.
        divisor: Images in one group.
        constant: Added at the end.
    """

    factor: int
    divisor: int = 1
    constant: int = 0

    def at(self, n: int) -> int:
        """The number for `n` images."""
        return -(-n // self.divisor) * self.factor + self.constant


@dataclass(frozen=True, slots=True)
class ArrayArg:
    """One array argument.

    Attributes:
        bytes: Bytes the kernel may touch, counted from the first element.
        writable: Whether the kernel writes to it.
    """

    bytes: Count
    writable: bool


@dataclass(frozen=True, slots=True)
class Phase:
    """One job over all its items; the next phase starts when it has ended.

    Attributes:
        symbol: Name of the job in the module.
        items: Number of work items.
        flops_per_item: Estimated work, which decides about threads.
    """

    symbol: str
    items: Count
    flops_per_item: float


@dataclass(frozen=True, slots=True)
class CallSpec:
    """The whole interface of a compiled module.

    Attributes:
        arrays: Arrays, in the order of the call.
        temporaries: Bytes of each shared temporary.
        scratch_bytes: Private bytes of each worker.
        phases: Jobs, in order.
    """

    arrays: tuple[ArrayArg, ...]
    temporaries: tuple[Count, ...]
    scratch_bytes: int
    phases: tuple[Phase, ...]
