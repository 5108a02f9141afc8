"""What is known of an index is true of every value it takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rot180.program import Affine, index
from rot180.program._bounds import Ranges, leaves
from rot180.program._nodes import Digit, Loop, Table


@given(
    lows=st.tuples(st.integers(-3, 3), st.integers(-3, 3)),
    sizes=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    factors=st.tuples(st.integers(-2, 2), st.integers(-2, 2)),
    const=st.integers(-4, 4),
)
def test_a_range_is_exact_for_independent_indices(
    lows: tuple[int, int],
    sizes: tuple[int, int],
    factors: tuple[int, int],
    const: int,
) -> None:
    ranges = Ranges()
    a, b = (range(low, low + size) for low, size in zip(lows, sizes, strict=True))
    place = Affine.of(dict(zip("ab", factors, strict=True)), const)
    values = [place.evaluate({"a": i, "b": j}) for i in a for j in b]
    with ranges.bind("a", a[0], a[-1]), ranges.bind("b", b[0], b[-1]):
        assert ranges.of(place) == (min(values), max(values))
        for extent in range(1, 6):
            below, above = leaves(place, extent, ranges)
            assert below == (min(values) < 0)
            assert above == (max(values) >= extent)


def test_what_is_unknown_may_leave() -> None:
    ranges = Ranges()
    assert ranges.of(index("n")) == (None, None)
    with ranges.bind("n", 0, None):
        assert ranges.of(index("n") * -2 + 1) == (None, 1)
        assert leaves(index("n"), 5, ranges) == (False, True)
        assert leaves(index("n"), None, ranges) == (False, True)
    assert not ranges.knows("n")


def test_bindings_nest() -> None:
    ranges = Ranges()
    with ranges.bind("i", 0, 9):
        with ranges.bind("i", 3, 3):
            assert ranges.of(index("i")) == (3, 3)
        assert ranges.of(index("i")) == (0, 9)


@pytest.mark.parametrize("extent", [1, 5, 12, None])
def test_what_derives_from_a_loop_is_bounded_too(extent: int | None) -> None:
    derive = (
        Digit("high", 4, 0),
        Digit("low", 1, 4),
        Table("start", (3, -1, 2, 0), "low"),
    )
    loop = Loop("i", extent, (), derive=derive)
    ranges = Ranges()
    with ranges.loop(loop):
        if extent is None:
            assert ranges.of(index("high")) == (0, None)
            assert ranges.of(index("low")) == (0, 3)
        else:
            assert ranges.of(index("i")) == (0, extent - 1)
            assert ranges.of(index("high")) == (0, (extent - 1) // 4)
            assert ranges.of(index("low")) == (0, min(extent - 1, 3))
        assert ranges.of(index("start")) == (-1, 3)
    assert not any(map(ranges.knows, ("i", "high", "low", "start")))


def test_widening_keeps_the_wider_range() -> None:
    ranges = Ranges()
    ranges.widen(Loop("i", 3, ()))
    ranges.widen(Loop("i", 7, ()))
    ranges.widen(Loop("i", 2, ()))
    assert ranges.of(index("i")) == (0, 6)
    ranges.widen(Loop("i", None, ()))
    assert ranges.of(index("i")) == (0, None)
