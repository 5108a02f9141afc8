"""Each rewriting, checked by running the program before and after it.

The values are normal numbers, so a changed order of summation shows in the last bits.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import CASES, Case, conv_case, small_sums

from rot180.errors import ScheduleError
from rot180.ops import Window
from rot180.program import Access, Apply, Count, Number, Program, index
from rot180.program._nodes import Alloc, Loop, walk
from rot180.schedules._copies import pack, stage
from rot180.schedules._nest import IMAGE, Nest
from rot180.schedules._rewrite import at, fuse, hold, mark, reorder, split
from rot180.schedules._tile import flatten, placed, resize, sink

EXAMPLES = settings(max_examples=30)
DIRECT = "yxpm"  # sums whose results belong to single images


def plain(case: Case) -> Program:
    return case.plain


def assert_same(case: Case, before: Program, after: Program) -> None:
    """Both programs combine into identities, and give the same bits."""
    arrays = case.reals()
    wanted = case.interpret_plain(before, arrays)
    for got, want in zip(case.interpret_plain(after, arrays), wanted, strict=True):
        np.testing.assert_array_equal(got, want)


def with_body(program: Program, body: Any) -> Program:
    return replace(program, body=body)


def splittable(program: Program) -> list[Loop]:
    return [
        s
        for s in walk(program.body)
        if isinstance(s, Loop) and s.extent is not None and s.limit is None
        if not s.derive
    ]


def test_the_comparison_sees_another_order(conv: Case) -> None:
    before = plain(conv)
    loops = [s for s in walk(before.body) if isinstance(s, Loop)]
    body: Any = loops[-1].body
    for name in reversed((*conv.nest.outputs()[1:], *reversed(conv.nest.chain))):
        body = conv.nest.nest((name,), body)
    body = (replace(loops[0], body=body),)
    with pytest.raises(AssertionError):
        assert_same(conv, before, with_body(before, body))


# ---------------------------------------------------------------- split


@EXAMPLES
@given(case=small_sums(), data=st.data())
def test_split_leaves_a_rest(case: Case, data: st.DataObject) -> None:
    before = plain(case)
    loop = data.draw(st.sampled_from(splittable(before)))
    factor = data.draw(st.integers(1, 5))
    body = split(before.body, loop.index, factor, "outer", "inner")
    extents = sorted(
        (s.index, s.extent)
        for s in walk(body)
        if isinstance(s, Loop) and s.index in ("outer", "inner")
    )
    assert loop.extent is not None
    whole, rest = divmod(loop.extent, factor)
    want = [("inner", factor), ("outer", whole)] * bool(whole)
    assert extents == sorted(want + [("inner", rest)] * bool(rest))
    assert_same(case, before, with_body(before, body))


@EXAMPLES
@given(case=small_sums(), data=st.data())
def test_split_with_a_guard_is_one_nest(case: Case, data: st.DataObject) -> None:
    before = plain(case)
    loop = data.draw(st.sampled_from(splittable(before)))
    factor = data.draw(st.integers(1, 5))
    try:
        body = split(before.body, loop.index, factor, "outer", "inner", guard=True)
    except ScheduleError:
        # The taps of a window without a filter: nothing but the loop ends them.
        assert loop.index in case.nest.chain
        assert type(case.op).__name__ != "Conv"
        return
    loops = [s for s in walk(body) if isinstance(s, Loop) and s.index == "inner"]
    assert [s.extent for s in loops] == [factor]
    assert_same(case, before, with_body(before, body))


@EXAMPLES
@given(case=small_sums(), data=st.data())
def test_split_twice(case: Case, data: st.DataObject) -> None:
    before = plain(case)
    loop = data.draw(st.sampled_from(splittable(before)))
    first, second = data.draw(st.integers(2, 4)), data.draw(st.integers(1, 3))
    body = split(before.body, loop.index, first, "outer", "inner")
    body = split(body, "inner", second, "middle", "innermost")
    assert_same(case, before, with_body(before, body))


# ---------------------------------------------------------------- reorder, sink


def chain_of(sum_: Nest) -> tuple[str, ...]:
    tree = () if IMAGE in sum_.outputs() else (IMAGE,)
    return (*tree, *sum_.chain)


@EXAMPLES
@given(case=small_sums(), data=st.data())
def test_reorder_keeps_the_order_of_the_sum(case: Case, data: st.DataObject) -> None:
    before = plain(case)
    names = [s.index for s in walk(before.body) if isinstance(s, Loop)]
    order = tuple(data.draw(st.permutations(names)))
    chain = [n for n in chain_of(case.nest) if n in names]
    moved = [n for n in order if n in chain]
    limits = {s.index for s in walk(before.body) if isinstance(s, Loop) and s.limit}
    try:
        body = reorder(before.body, order)
    except ScheduleError as error:
        if "would change the sum" in str(error):
            assert moved != chain
        else:
            assert limits & set(names)
        return
    assert moved == chain
    found = [s.index for s in walk(body) if isinstance(s, Loop)]
    assert found == list(order)
    assert_same(case, before, with_body(before, body))


@EXAMPLES
@given(case=small_sums(kinds=DIRECT), data=st.data())
def test_sink_moves_outputs_into_the_chain(case: Case, data: st.DataObject) -> None:
    before = plain(case)
    names = [n for n in case.nest.outputs() if n != IMAGE]
    order = tuple(data.draw(st.permutations(names)))
    body = sink(before.body, order)
    loops = [s.index for s in walk(body) if isinstance(s, Loop)]
    assert loops[-len(order) :] == list(order)
    assert_same(case, before, with_body(before, body))


# ---------------------------------------------------------------- mark


@EXAMPLES
@given(
    case=small_sums(),
    kind=st.sampled_from(["unroll", "lanes", "parallel"]),
    data=st.data(),
)
def test_mark_keeps_the_meaning(case: Case, kind: Any, data: st.DataObject) -> None:
    before = plain(case)
    names = sorted({s.index for s in walk(before.body) if isinstance(s, Loop)})
    name = data.draw(st.sampled_from(names))
    try:
        body = mark(before.body, name, kind)
    except ScheduleError:
        assert kind != "unroll"
        assert name in chain_of(case.nest)
        return
    loops = [s for s in walk(body) if isinstance(s, Loop) and s.index == name]
    assert {s.kind for s in loops} == {kind}
    assert_same(case, before, with_body(before, body))


# ---------------------------------------------------------------- hold, fuse


def held(case: Case, tile: tuple[str, ...]) -> Program:
    before = plain(case)
    body = sink(before.body, tile)
    return with_body(before, hold(body, case.nest.chain[0]))


@EXAMPLES
@given(case=small_sums(kinds=DIRECT), data=st.data())
def test_hold_needs_no_clean_output(case: Case, data: st.DataObject) -> None:
    names = [n for n in case.nest.outputs() if n != IMAGE]
    tile = tuple(data.draw(st.lists(st.sampled_from(names), unique=True)))
    arrays = case.reals()
    wanted = case.interpret_plain(plain(case), arrays)
    after = held(case, tile)
    registers = [s.buffer for s in walk(after.body) if isinstance(s, Alloc)]
    assert all(b.space == "register" for b in registers)
    assert len(registers) == len(case.outputs)
    for got, want in zip(case.interpret(after, arrays), wanted, strict=True):
        np.testing.assert_array_equal(got, want)


@EXAMPLES
@given(case=small_sums(kinds="yxp"))
def test_fuse_applies_a_function_to_the_result(case: Case) -> None:
    arrays = case.reals()
    (wanted,) = case.interpret_plain(plain(case), arrays)
    after = held(case, ())
    out = case.nest.out.buffer.name

    def change(target: Access, value: Any) -> Any:
        return Apply("relu", (Apply("add", (value, Number(0.25, "float32"))),))

    body = fuse(after.body, out, change)
    (got,) = case.interpret(with_body(after, body), arrays)
    np.testing.assert_array_equal(got, np.maximum(wanted + 0.25, 0))


# ---------------------------------------------------------------- pack, stage


def filter_of(case: Case) -> str:
    return next(f.buffer.name for f in case.nest.factors if f.buffer.name[-1] == "w")


@EXAMPLES
@given(case=small_sums(kinds="yx"), data=st.data())
def test_pack_copies_a_filter_in_any_order(case: Case, data: st.DataObject) -> None:
    before = plain(case)
    name = filter_of(case)
    (access,) = {f for f in case.nest.factors if f.buffer.name == name}
    used = {s for a in access.axes for s in a.symbols()}
    used |= {
        r.index for r in case.nest.residues if any(t.name in used for t in r.derive)
    }
    loops = [s.index for s in walk(before.body) if isinstance(s, Loop)]
    needed = [n for n in loops if n in used]
    residues = [n for n in needed if n.endswith("residue")]
    rest = [n for n in needed if n not in residues]
    order = (*residues, *data.draw(st.permutations(rest)))
    buffer, fill, body = pack(before.body, name, "packed", order, "temporary")
    assert {a.name for a in (buffer,)} == {"packed"}
    after = replace(
        before,
        body=(*fill, *body),
        temporaries=((buffer, Count(0, 1, buffer.elements())),),
    )
    assert_same(case, before, after)


@EXAMPLES
@given(case=small_sums(), data=st.data())
def test_stage_copies_what_is_read(case: Case, data: st.DataObject) -> None:
    before = plain(case)
    names = [s.index for s in walk(before.body) if isinstance(s, Loop)]
    images = names.index(IMAGE) if IMAGE in names else 0
    place = data.draw(st.sampled_from(names[images:]))
    factor = data.draw(st.sampled_from(case.nest.factors))
    order = tuple(data.draw(st.permutations(range(len(factor.axes)))))
    counted = factor.buffer.shape[order[-1]] is None
    lanes = 1 if counted else data.draw(st.sampled_from([1, 2, 4]))
    skew = data.draw(st.booleans())

    def change(loop: Loop) -> Any:
        inside = stage(
            loop.body, factor.buffer.name, "rows", order=order, lanes=lanes, skew=skew
        )
        return (replace(loop, body=inside),)

    body = at(before.body, place, change)
    (scratch,) = {s.buffer for s in walk(body) if isinstance(s, Alloc)}
    assert scratch.space == "scratch"
    assert_same(case, before, with_body(before, body))


# ---------------------------------------------------------------- flatten, placed


@EXAMPLES
@given(case=small_sums(kinds=DIRECT), keep=st.integers(0, 3))
def test_flatten_makes_one_loop_of_many(case: Case, keep: int) -> None:
    before = plain(case)
    (item,) = before.body
    assert isinstance(item, Loop)
    nest, inside = [], item.body
    while isinstance(inside[0], Loop) and inside[0].index not in case.nest.chain:
        nest.append(inside[0])
        inside = inside[0].body
    flat = flatten(nest, inside, keep=keep)
    flat = replace(flat, index="flat")
    assert flat.kind == "parallel"
    body = (replace(item, body=(flat,)),)
    assert_same(case, before, with_body(before, body))


@EXAMPLES
@given(case=small_sums(kinds=DIRECT), rows=st.integers(1, 4), data=st.data())
def test_placed_cuts_a_loop_into_blocks(
    case: Case, rows: int, data: st.DataObject
) -> None:
    before = plain(case)
    names = [n for n in case.nest.outputs() if n != IMAGE]
    name = data.draw(st.sampled_from(names))
    extent = case.nest.extent(name)
    body = resize(before.body, name, rows)
    place = index("block") * rows + index(name)
    body = placed(body, name, place, check=extent % rows != 0)
    (item,) = body
    assert isinstance(item, Loop)
    blocks = Loop("block", -(-extent // rows), item.body)
    assert_same(case, before, with_body(before, (replace(item, body=(blocks,)),)))


# ---------------------------------------------------------------- refusals


@pytest.fixture(name="conv")
def a_convolution() -> Case:
    window = Window.make("test", (3, 2), padding=1)
    return conv_case("y", window, "channels_first", (4, 3))


def test_what_names_no_loop_is_refused(conv: Case) -> None:
    body = plain(conv).body
    with pytest.raises(ScheduleError, match="no loop over 'z'"):
        split(body, "z", 2, "a", "b")
    with pytest.raises(ScheduleError, match="no loop over 'z'"):
        mark(body, "z", "unroll")
    with pytest.raises(ScheduleError, match="none of the loops"):
        reorder(body, ("z",))
    with pytest.raises(ScheduleError, match=r"\['r'\] are in no perfect nest with 'k'"):
        reorder(body, ("k", "r"))


def test_split_refuses_a_loop_without_an_extent() -> None:
    strided = plain(CASES["x, stride above filter, channels_first"]).body
    with pytest.raises(ScheduleError, match="loop 'r' has no extent to split"):
        split(strided, "r", 2, "a", "b")
    with pytest.raises(ScheduleError, match="loop 'n' has no extent to split"):
        split(strided, "n", 2, "a", "b")


def test_split_refuses_a_guard_that_guards_nothing() -> None:
    pooled = plain(CASES["window sum y, overlapping, channels_first"]).body
    with pytest.raises(ScheduleError, match="nothing guards the end of loop 'r'"):
        split(pooled, "r", 2, "a", "b", guard=True)


def test_orders_of_summation_are_refused(conv: Case) -> None:
    body = plain(conv).body
    first = conv.nest.chain[0]
    with pytest.raises(ScheduleError, match="would change the sum over"):
        reorder(body, tuple(reversed(conv.nest.chain)))
    for kind in ("lanes", "parallel"):
        with pytest.raises(ScheduleError, match=f"{kind}: loop .* is summed over"):
            mark(body, first, kind)  # type: ignore[arg-type]
    with pytest.raises(ScheduleError, match=r"sink: a loop of .* is summed over"):
        sink(body, (first,))


def test_reorder_refuses_to_move_images_into_a_chain() -> None:
    case = CASES["w, plain, channels_first"]
    others = case.nest.outputs()
    with pytest.raises(ScheduleError, match="would change the sum over"):
        reorder(plain(case).body, (*others, *case.nest.chain, IMAGE))


def test_reorder_refuses_a_limit_that_is_not_known_yet() -> None:
    strided = plain(CASES["x, stride above filter, channels_first"]).body
    residue = next(
        s.index
        for s in walk(strided)
        if isinstance(s, Loop) and s.index.endswith("residue")
    )
    names = [s.index for s in walk(strided) if isinstance(s, Loop)]
    others = [n for n in names if n != residue]
    with pytest.raises(ScheduleError, match=f"loop 'r' ends where '{residue}' says"):
        reorder(strided, (*others, residue))


def test_hold_refuses_part_of_a_sum(conv: Case) -> None:
    body = plain(conv).body
    with pytest.raises(ScheduleError, match=r"the sum goes on over \['r'"):
        hold(body, conv.nest.chain[-1])
    with pytest.raises(ScheduleError, match="one reduced store under a perfect nest"):
        hold(hold(body, conv.nest.chain[0]), "n")


def test_hold_refuses_a_tile_of_unknown_extent(conv: Case) -> None:
    linear = plain(conv).body
    body = at(linear, "k", lambda loop: (replace(loop, extent=None),))
    body = sink(body, ("k",))
    with pytest.raises(ScheduleError, match="tile loop 'k' has no extent"):
        hold(body, conv.nest.chain[0])


def test_pack_refuses_what_is_read_in_two_ways(conv: Case) -> None:
    body = plain(conv).body
    with pytest.raises(ScheduleError, match="'nothing' is read in 0 ways"):
        pack(body, "nothing", "packed", (), "temporary")
    twice = split(body, "c", 2, "a", "b")
    other = at(body, "c", lambda loop: split((loop,), "c", 2, "a", "b"))
    assert twice == other
    rest = split(body, "k", 2, "a", "b")
    with pytest.raises(ScheduleError, match="'w' is read in 2 ways"):
        pack(rest, "w", "packed", ("a", "b"), "temporary")


def test_stage_refuses_what_has_no_bounds(conv: Case) -> None:
    body = plain(conv).body
    with pytest.raises(ScheduleError, match="'nothing' is not read here"):
        stage(body, "nothing", "rows", lanes=1)
    with pytest.raises(ScheduleError, match=r"x\[.*\] has no bounded region"):
        stage(body, "x", "rows", lanes=1)
    inside = next(s for s in walk(body) if isinstance(s, Loop) and s.index == "k").body
    with pytest.raises(ScheduleError, match="vectors cannot run along"):
        stage(inside, "x", "rows", order=(1, 2, 3, 0), lanes=2)


def test_fuse_refuses_what_is_not_final(conv: Case) -> None:
    body = plain(conv).body
    with pytest.raises(ScheduleError, match="'y' is still summed"):
        fuse(body, "y", lambda target, value: value)
    with pytest.raises(ScheduleError, match="'z' is not written here"):
        fuse(body, "z", lambda target, value: value)
