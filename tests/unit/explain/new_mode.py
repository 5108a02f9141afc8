"""A padding mode that `ops` does not have yet, and what explain makes of it.

Run by `test_new_mode.py` in a process of its own: the mode is there before anything
looks for it, as if it stood in the source.
"""

from dataclasses import dataclass, replace

import numpy as np

from rot180 import ops
from rot180.notation import Access, Affine, Contraction


@dataclass(frozen=True)
class Reflected(Affine):
    """A position that turns back at the first cell and at the last."""

    extent: int = 1

    def at(self, point):
        last = self.extent - 1
        return last - abs(last - abs(Affine.at(self, point)))

    def __str__(self):
        return f"reflect({Affine.__str__(self)})"


PLAIN = ops.Conv.contraction.fget


def contraction(op: ops.Conv) -> Contraction:
    formula = PLAIN(op)
    if op.window.mode != "reflect":
        return formula

    def turned(access: Access) -> Access:
        if access.tensor != "x":
            return access
        *lead, h, w = access.axes
        places = (
            Reflected(axis.terms, axis.const, extent)
            for axis, extent in zip((h, w), op.input_size, strict=True)
        )
        return replace(access, axes=(*lead, *places))

    return formula.on_each(turned)


ops._padding.PADDING_MODES = ops.PADDING_MODES = ("zeros", "reflect")
ops.Conv.contraction = property(contraction)

from click.testing import CliRunner  # noqa: E402

from rot180 import explain  # noqa: E402
from rot180.cli import main  # noqa: E402

options = {"input": (4, 4), "kernel": (3, 3), "padding": 1, "padding_mode": "reflect"}
found = explain.explain(**options)
x, w, dy = (
    np.reshape(list(found.values[name].values()), found.tensors[name].shape)[0, 0]
    for name in ("X", "F", "dO")
)

# By NumPy: pad by reflection, correlate; backward, fold the gradient back.
around = np.pad(x, 1, mode="reflect")
padded = np.zeros_like(around)
y, dw = np.zeros((4, 4)), np.zeros((3, 3))
for r, s in np.ndindex(3, 3):
    met = np.s_[r : r + 4, s : s + 4]
    y += around[met] * w[r, s]
    dw[r, s] = (around[met] * dy).sum()
    padded[met] += dy * w[r, s]
dx = np.zeros((4, 4))
for i, j in np.ndindex(6, 6):
    dx[(1, 0, 1, 2, 3, 2)[i], (1, 0, 1, 2, 3, 2)[j]] += padded[i, j]

for name, right in (("O", y), ("dF", dw), ("dX", dx)):
    values = np.reshape(list(found.values[name].values()), right.shape)
    np.testing.assert_array_equal(values, right, name)
print("values are right")
print(found.passes[0].formulas[0])
print(explain.line(found.passes[0].equations[0], found))
forward, *_, backward = found.passes
assert forward.slide.tracks[0].reads == (1, 0, 1, 2, 3, 2)
# Backward, terms fold back so that no sliding fits: none is shown.
assert backward.slide is None
assert backward.gathered == ()
print(explain.sentences(backward, found)[0])

help_text = CliRunner().invoke(main, ["explain", "--help"]).output
assert "--padding-mode [zeros|reflect]" in help_text
printed = CliRunner().invoke(
    main, "explain --input 4x4 --kernel 3x3 --padding 1 --padding-mode reflect"
)
assert printed.exit_code == 0, printed.output
assert "reflect(p + r - 1)" in printed.output
assert '"choices":["zeros","reflect"]' in found.html()
assert found.setting.words()["padding_mode"] == "reflect"
for text in (found.text(), found.markdown(), found.json(), found.svg()):
    assert "dX" in text
for framework in explain.FRAMEWORKS:
    text = explain.program(found, framework)
    if framework == "rot180":
        assert ", padding_mode='reflect'" in text
    else:
        assert text.startswith("# ")
        assert "padding_mode='reflect' is not written here" in text
print("it is in the command line and on the page")
