"""The formulas as people read them, kept in a file.

After a wanted change: ROT180_UPDATE_GOLDEN=1 pytest tests/golden, then read the diff.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from rot180 import ops
from rot180.notation import gather, latex
from rot180.ops import Layout, Window

GOLDEN = Path(__file__).parent / "formulas.txt"
LAYOUTS: tuple[Layout, ...] = ("channels_first", "channels_last")


def lines() -> Iterator[str]:
    for rank in range(4):
        for layout in LAYOUTS:
            for grouped in (False, True):
                yield f"# rank {rank}, {layout}, groups: {grouped}"
                forward = ops.conv_formula(rank, layout, grouped, False)
                yield str(forward)
                yield str(forward.adjoint("x"))
                yield str(forward.adjoint("w"))
    yield "# read backwards"
    yield str(ops.conv_formula(2, "channels_first", False, True))
    yield "# transposed"
    yield str(ops.transposed_formula(2, "channels_first"))
    yield "# pooling"
    yield str(ops.pool_formula(2, "channels_first", "+="))
    yield str(ops.pool_formula(2, "channels_first", "max="))
    yield "# LaTeX"
    yield latex(ops.conv_formula(1, "channels_first", False, False))
    for stride, dilation in ((1, 1), (1, 2), (2, 1), (2, 2), (3, 2), (4, 6)):
        window = Window((3,), (stride,), (dilation,), ((1, 1),))
        yield f"# input gradient gathered: stride {stride}, dilation {dilation}"
        formula = ops.Conv(window, out="x", input_size=(9,)).contraction
        yield str(formula)
        for piece in gather(formula):
            yield f"    {piece.contraction or f'{piece.out} = 0'}"


def test_printed_formulas() -> None:
    text = "\n".join(lines()) + "\n"
    if os.environ.get("ROT180_UPDATE_GOLDEN"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()
