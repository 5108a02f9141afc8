"""What a kernel must know of the processor it is emitted for."""

from dataclasses import dataclass

ITEM_BYTES = {"float32": 4, "float64": 8, "int32": 4, "int64": 8, "bool": 1}


@dataclass(frozen=True, slots=True)
class Target:
    """A processor to emit code for.

    Attributes:
        name: Family: ``avx512``, ``avx2``, ``neon`` or ``baseline``.
        triple: LLVM target triple.
        cpu: LLVM processor name.
        features: LLVM feature string, such as ``+avx2,+fma``.
        vector_bytes: Bytes of one vector register.
        registers: Number of vector registers.
        has_fma: Whether a fused multiply-add is one instruction.
    """

    name: str
    triple: str
    cpu: str
    features: str
    vector_bytes: int
    registers: int
    has_fma: bool

    def lanes(self, dtype: str) -> int:
        """Elements of `dtype` in one vector register."""
        return self.vector_bytes // ITEM_BYTES[dtype]
