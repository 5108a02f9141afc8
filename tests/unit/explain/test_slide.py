"""A pass as a sliding: the picture computes what the equations say."""

import itertools
from typing import Any

import numpy as np
import pytest
from explain_cases import draw

from rot180 import explain


def _slid(found: explain.Explanation, part: explain.Pass, at: tuple[int, ...]) -> Any:
    """Computes a number from the picture: what lies under the slider, times it."""
    slide, values = part.slide, found.values
    assert slide is not None
    assert values is not None
    out, base = found.tensors[part.out], found.tensors[slide.base]
    total = 0
    taps = itertools.product(*(range(track.taps) for track in slide.tracks))
    for tap, place in zip(taps, slide.covered(out.place(at)), strict=True):
        reads = slide.reads(place)
        if reads is None:
            continue
        number = values[base.name][base.at(next(base.planes()), reads)]
        if slide.slider is not None:
            slider = found.tensors[slide.slider]
            lying = slider.at(next(slider.planes()), slide.turned(tap))
            number *= values[slider.name][lying]
        total += number
    return total


def test_sliding_gives_what_the_equations_give() -> None:
    rng = np.random.default_rng(8)
    seen = 0
    while seen < 300:
        example = draw(rng)
        single = example.parameters | {"channels": (1, 1), "images": 1}
        if example.parameters["layer"] not in ("conv", "conv_transpose"):
            continue
        found = explain.explain(**single | {"groups": 1, "bias": False})
        for part in found.passes:
            for line in part.equations:
                assert _slid(found, part, line.cell.at) == line.cell.value(found.values)
        seen += 1


@pytest.mark.parametrize("layer", ["max_pool", "avg_pool"])
def test_the_window_covers_what_is_pooled(layer: str) -> None:
    found = explain.explain(layer=layer, input=(5, 4), kernel=3, stride=2, padding=1)
    for part in found.passes:
        assert part.slide is not None
        for line in part.equations:
            place = found.tensors[part.out].place(line.cell.at)
            under = {part.slide.reads(at) for at in part.slide.covered(place)} - {None}
            read = {found.tensors[part.slide.base].place(t.factors[0].at)
                    for t in line.terms}  # fmt: skip
            assert under == read


def test_stride_dilation_and_padding_turn_up_where_they_should() -> None:
    """dF steps by the dilation, dO spread by the stride; dX the other way round."""
    found = explain.explain(input=(9,), kernel=(3,), stride=2, dilation=3, padding=1)
    forward, weight, inputs = (part.slide.tracks[0] for part in found.passes)
    assert (forward.step, forward.tap_step, forward.base_step) == (2, 3, 1)
    assert (weight.step, weight.tap_step, weight.base_step) == (3, 2, 1)
    assert (inputs.step, inputs.tap_step, inputs.base_step) == (1, 3, 2)
    assert [t.is_reversed for t in (forward, weight, inputs)] == [False, False, True]
    assert inputs.padding == (6 - 1, 6 - 1 - 2 * 2 + 4)


def test_padding_is_drawn_even_where_nothing_reaches_it() -> None:
    found = explain.explain(input=(4,), kernel=(2,), stride=3, padding=1)
    track = found.passes[0].slide.tracks[0]
    assert track.reads == (None, 0, 1, 2, 3, None)
    assert track.padding == (1, 0)


def test_a_cropped_input() -> None:
    found = explain.explain(input=(5,), kernel=(2,), padding=((-1, -2),))
    track = found.passes[0].slide.tracks[0]
    assert track.reads == (0, 1, 2, 3, 4)
    assert track.padding == (-1, -2)
    said = explain.sentences(found.passes[0], found)[0]
    assert "(cropped by 1 before and 2 behind)" in said


@pytest.mark.parametrize("layer", ["relu", "conv"])
def test_what_is_no_sliding_has_none(layer: str) -> None:
    found = explain.explain(layer=layer, **({"bias": True} if layer == "conv" else {}))
    sliding = {part.name: part.slide is not None for part in found.passes}
    assert sliding.pop("bias_grad", False) is False
    assert set(sliding.values()) == {layer == "conv"}
