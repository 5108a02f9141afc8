"""From a contraction with numbers to a sum: the order of summation, and residues."""

import math

import pytest
from programs import CASES, LAYOUTS, conv_case

from rot180 import lower
from rot180.errors import InternalError
from rot180.notation import contraction
from rot180.ops import Window
from rot180.program import Buffer, Load, index, show
from rot180.program._nodes import Loop, Store, walk


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_forward_chain_runs_over_taps_and_then_channels(layout: str) -> None:
    """The order is the same in both layouts: so are the bits."""
    sum_ = CASES[f"y, plain, {layout}"].nest
    assert sum_.chain == ("r", "s", "c")
    assert CASES[f"x, plain, {layout}"].nest.chain == ("r", "s", "k")
    assert CASES[f"w, plain, {layout}"].nest.chain == ("p", "q")


def test_every_reduction_is_declared() -> None:
    for name, case in CASES.items():
        sum_ = case.nest
        stores = [
            s for s in walk(case.plain.body) if isinstance(s, Store) and s.reduction
        ]
        assert len(stores) == 1, name
        reduction = stores[0].reduction
        assert reduction is not None
        images = () if "n" in sum_.outputs() else ("n",)
        assert reduction.loops == (*images, *sum_.chain)
        assert [loop for loop, _ in reduction.leaves] == [*images]
        assert reduction.tree == ()
        first = {"add": 0.0, "argmax": -math.inf}[reduction.kind]
        assert reduction.identity[0] == first


def test_a_maximum_reads_minus_infinity_outside() -> None:
    sum_ = CASES["max pool, overlapping, channels_first"].nest
    assert {f.outside for f in sum_.factors} == {-math.inf}
    assert len(sum_.outs) == 2
    assert sum_.outs[1].axes == sum_.outs[0].axes


def test_a_stride_becomes_residues() -> None:
    """Three residues of which one has no tap; two shifts are looked up in tables."""
    sum_ = CASES["x, stride above filter, channels_first"].nest
    (residue,) = sum_.residues
    assert residue.extent == 3
    tables = {t.name: t.values for t in residue.derive}
    assert tables["r_count"] == (1, 1, 0)
    assert sum_.limits == (("r", "r_count"),)
    assert str(sum_.out.axes[-1]) == f"3*h + {residue.index}"


def test_residues_without_taps_are_written_as_zero() -> None:
    case = CASES["x, gcd of stride and dilation, channels_last"]
    dy, w = case.integers()
    (dx,) = case.interpret_plain(case.plain, (dy, w))
    (want,) = case.expected(dy, w)
    assert (dx == want).all()
    assert (dx[:, 0::2] == 0).all()
    assert (dx[:, 1::2] != 0).any()


def test_a_stride_of_one_needs_no_residues() -> None:
    sum_ = CASES["x, plain, channels_first"].nest
    assert sum_.residues == ()
    assert sum_.limits == ()


def test_a_bias_is_added_after_the_chain() -> None:
    program = CASES["y, groups, channels_first"].plain
    (final,) = [
        s for s in walk(program.body) if isinstance(s, Store) and s.reduction is None
    ]
    (value,) = final.values
    assert "b[g, k]" in show(program)
    assert final.targets[0].buffer.name == "y"
    assert value != Load(final.targets[0])


def test_images_are_summed_last_but_for_the_chain() -> None:
    program = CASES["w, plain, channels_first"].plain
    names = [s.index for s in walk(program.body) if isinstance(s, Loop)]
    assert names == ["k", "c", "r", "s", "n", "p", "q"]
    assert show(program).endswith("# a tree over n by 2")


def test_a_layout_is_numbers() -> None:
    """The same loops in either layout; the filter's strides differ."""
    window = Window.make("test", (3,))
    first, last = (conv_case("y", window, at, (5,)).nest for at in LAYOUTS)
    assert dict(first.extents) == dict(last.extents)
    assert first.chain == last.chain
    (x, w), (x_last, w_last) = first.factors, last.factors
    step = {n: w.address().coefficient(n) for n in ("k", "c", "r")}
    step_last = {n: w_last.address().coefficient(n) for n in ("k", "c", "r")}
    assert step == {"k": 6, "c": 3, "r": 1}
    assert step_last == {"k": 1, "c": 3, "r": 6}
    assert x.address().coefficient("p") == 1
    assert x_last.address().coefficient("p") == 2


def test_a_parameter_without_a_value_is_our_bug() -> None:
    formula = contraction("y[n, p] += x[n, p*stride]")
    buffers = {
        "x": Buffer("x", "float32", (None, 8), (8, 1)),
        "y": Buffer("y", "float32", (None, 4), (4, 1)),
    }
    with pytest.raises(InternalError, match="parameter stride has no value"):
        lower.plain("p", formula, buffers, {"p": 4}, ("y", "x"))


def test_arguments_stand_in_the_order_of_the_call() -> None:
    for case in CASES.values():
        names = [b.name for b in case.nest.arguments]
        assert names[: len(case.outputs)] == [a.buffer.name for a in case.nest.outs]


def test_a_sum_knows_its_extents() -> None:
    sum_ = CASES["y, plain, channels_first"].nest
    assert sum_.extent("c") == 2
    with pytest.raises(KeyError):
        sum_.extent("n")
    assert sum_.outputs() == ("n", "k", "p", "q")
    assert sum_.loop("c", ()) == Loop("c", 2, ())
    assert sum_.loop("n", ()) == Loop("n", None, (), limit=index("images"))
    assert [a.axes[0] for a in sum_.outs] == [index("n")]
