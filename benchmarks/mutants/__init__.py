"""Wrong convolutions: mistakes seen in other people's code, to try checkers on.

There are two correct implementations in NumPy, `correct_taps` and `correct_columns`,
which share no sum, and for each of 18 kinds of mistake two mutants of them, `m01a` to
`m18b`, each wrong in one way and right in all others:

    $ rot180 check benchmarks.mutants:m03a

Where the kinds were seen:

1. The filter is not rotated in dx.
2. The forward pass flips the filter.
3. Stride and dilation are swapped (iree-turbine #1223, candle #2337).
4. The stride is missing in the backward pass.
5. Symmetric crop for asymmetric padding (convnet 2.5.3).
6. The tail of the input that no window reaches.
7. Slices of groups (pytorch #51430, burn #1891, onnx #8446).
8. Mean for sum (cTensor #3).
9. dw reversed.
10. An empty batch leaves dw uninitialised (NNlib.jl #763).
11. `output_padding` filled with zeros (pytorch #8816).
12. The divisor of average pooling with `ceil_mode` (pytorch #198119).
13. Overlapping max pooling assigns instead of adds (joey #5).
14. A dilation of 0 is accepted (tinygrad #14115).
15. A bias of the wrong length is accepted (pytorch #85656).
16. A shift by the centre of the window (convnet 2.5.3, through OpenCV).
17. Wrong for special channel counts only (pytorch #50042).
18. Groups with a stride in dx (mlx #3800).

Nothing here imports another part of rot180: what is judged shares no code with the
judge, nor with the descriptions of mistakes that a diagnosis is made from.
"""

from typing import Final

from ._columns import Columns
from ._subject import Subject
from ._table import MUTANTS, Mutant
from ._taps import Taps

__all__ = ["MUTANTS", "Mutant", "Subject", "correct_columns", "correct_taps"]

correct_taps: Final[Subject] = Taps()
correct_columns: Final[Subject] = Columns()
_SUBJECTS: Final = {mutant.name: mutant.subject for mutant in MUTANTS}


def __getattr__(name: str) -> Subject:
    """Returns the subject of a mutant, such as `m03a`."""
    try:
        return _SUBJECTS[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no {name!r}") from None


def __dir__() -> list[str]:
    return sorted([*__all__, *_SUBJECTS])
