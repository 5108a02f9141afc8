"""What is said of a pass is true: each sentence is read and worked out with SciPy."""

import itertools
import re
from typing import Any

import numpy as np
import pytest
from explain_cases import array_of
from scipy import signal

from rot180 import explain

Array = np.ndarray[Any, Any]
ONE = (
    r"(\w+) is the (full )?(correlation|true convolution) of (\w+) "
    r"with (the \w+ )?(\w+)"
)
STEPS = (
    r"(\w+) correlates (\w+) with (\w+)"
    r"(?: dilated by the stride (\d))?(?:, stepping by the dilation (\d))?\."
)
SLIDES = (
    r"(\w+) slides the (\w+ )?filter(?:, dilated by (\d),)? over (\w+)"
    r"(?: dilated by the stride (\d))?(?:, cropped by the padding (\d))?\."
)
BACK = (
    r"Backward it is a convolution: (\w+) (correlates|is the true convolution of) (\w+)"
)
CASES = [
    {"layer": layer, "flip": flip, "stride": stride, "dilation": dilation,
     "padding": padding, "input": size, "kernel": kernel}
    for layer, flip, stride, dilation, padding, (size, kernel) in itertools.product(
        ("conv", "conv_transpose"), (False, True), (1, 2), (1, 2), (0, 1),
        [((7, 6), (3, 2)), ((8,), (3,))],
    )
]  # fmt: skip


def _spread(array: Array, *steps: int) -> Array:
    """Puts zeros between the numbers: by one step, or by one for each dimension."""
    each = steps if len(steps) == array.ndim else steps * array.ndim
    wide = np.zeros([(n - 1) * s + 1 for n, s in zip(array.shape, each, strict=True)])
    wide[tuple(slice(None, None, step) for step in each)] = array
    return wide


def _cropped(array: Array, padding: int, shape: tuple[int, ...]) -> Array:
    """Cuts `padding` off each side; what no window of a stride reached is 0."""
    whole = np.zeros([n + 2 * padding for n in shape])
    whole[tuple(slice(n) for n in array.shape)] = array
    return whole[tuple(slice(padding, padding + n) for n in shape)]


def _worked_out(found: explain.Explanation, part: explain.Pass) -> Array:
    """Does what the sentences of a pass say."""
    setting, text = found.setting, " ".join(explain.sentences(part, found)[1:])
    padding, stride = setting.padding[0][0], setting.stride[0]
    dilation = setting.dilation[0]
    array = {name: array_of(found, name) for name in found.tensors}
    shape = found.tensors[part.out].extents
    if said := re.search(BACK, text):
        act = signal.correlate if said[2] == "correlates" else signal.convolve
        other = _spread(array["F"], dilation)
        result = act(np.pad(array[said[3]], padding), other, "valid")
        result = result[(slice(None, None, stride),) * result.ndim]
    elif said := re.search(ONE, text):
        _, full, what, base, turned, slider = said.groups()
        act = signal.correlate if what == "correlation" else signal.convolve
        other = np.flip(array[slider]) if turned else array[slider]
        if full:
            result = act(array[base], other, "full")
        elif part.name == "forward":
            ground = np.pad(array[base], padding)
            result = act(ground, _spread(other, dilation), "valid")
            result = result[(slice(None, None, stride),) * result.ndim]
        else:
            result = act(np.pad(array[base], padding), other, "valid")
    elif said := re.search(STEPS, text):
        _, base, slider, apart, step = said.groups()
        other = _spread(array[slider], int(apart or 1))
        result = signal.correlate(np.pad(array[base], padding), other, "valid")
        result = result[(slice(None, None, int(step or 1)),) * result.ndim]
        result = result[tuple(slice(n) for n in shape)]
    elif said := re.search(SLIDES, text):
        _, turned, apart, base, wide, crop = said.groups()
        other = _spread(array["F"], int(apart or 1))
        other = np.flip(other) if turned else other
        result = signal.correlate(_spread(array[base], int(wide or 1)), other, "full")
        result = _cropped(result, int(crop or 0), shape)
    else:
        assert "lays a copy of F" in text
        result = signal.convolve(_spread(array["X"], stride), _forward(found, array))
        result = _cropped(result, padding, shape)
    return np.flip(result) if "comes out" in text else result


def _forward(found: explain.Explanation, array: dict[str, Array]) -> Array:
    copy = _spread(array["F"], found.setting.dilation[0])
    return np.flip(copy) if found.setting.flip else copy


@pytest.mark.parametrize(
    "parameters", CASES, ids=lambda p: "-".join(map(str, p.values()))
)
def test_what_is_said_is_what_is_computed(parameters: dict[str, Any]) -> None:
    found = explain.explain(**parameters)
    for part in found.passes:
        np.testing.assert_array_equal(
            np.rint(_worked_out(found, part)),
            array_of(found, part.out),
            str(explain.sentences(part, found)),
        )


FIRST = re.compile(
    r"(?P<slider>\w+)(?: \((?P<how>.*?)\))? slides over "
    r"(?P<base>\w+)(?: \((?P<ground>.*?)\))?"
    r"(?:, moving (?P<back>backwards )?by (?P<step>.+?))?; each number of"
)
UNEVEN = [
    {"padding": ((1, 0), (2, -1)), "kernel": (3, 2), "stride": (2, 1)},
    {"padding": ((-1, 2), (0, 0)), "dilation": (1, 2), "flip": True},
    {"layer": "conv_transpose", "padding": ((0, 1), (1, 0)), "stride": (1, 3)},
    {"padding": ((0, 2),), "input": (9,), "kernel": (4,), "stride": 3, "dilation": 2},
]  # fmt: skip


def _each(text: str | None, rank: int) -> list[tuple[int, int]]:
    """`2`, `1 before and 0 behind`, `2 in rows and 1 in columns`, or both."""
    both = re.fullmatch("(.+) in rows and (.+) in columns", text or "0")
    parts = both.groups() if both else [text or "0"] * rank
    numbers = [list(map(int, re.findall(r"-?\d+", part))) for part in parts]
    return [(pair[0], pair[-1]) for pair in numbers]


def _apart(aside: str, array: Array) -> Array:
    found = re.search(r"its numbers (.+?) apart", aside)
    steps = _each(found[1] if found else "1", array.ndim)
    return _spread(array, *(step for step, _ in steps))


@pytest.mark.parametrize(
    "parameters", [*CASES, *({"input": (7, 6)} | one for one in UNEVEN)], ids=str
)
def test_what_slides_over_what_gives_the_numbers(parameters: dict[str, Any]) -> None:
    found = explain.explain(**parameters)
    for part in found.passes:
        said = FIRST.match(explain.sentences(part, found)[0])
        assert said
        extents = found.tensors[part.out].extents
        rank = len(extents)
        base, slider = (array_of(found, said[name]) for name in ("base", "slider"))
        how, around = said["how"] or "", said["ground"] or ""
        ground = _apart(around, base)
        pads = re.search(r"(padded|cropped) by (.+?)(?:, where|$)", around)
        sign = -1 if pads and pads[1] == "cropped" else 1
        for dim, pair in enumerate(_each(pads[2] if pads else None, rank)):
            low, high = (sign * side for side in pair)
            sides = [(0, 0)] * rank
            sides[dim] = (max(low, 0), max(high, 0))
            ground = np.pad(ground, sides)
            end = ground.shape[dim] + min(high, 0)
            ground = ground.take(range(max(-low, 0), end), axis=dim)
        lying = _apart(
            how, np.flip(slider) if re.search("rotated|reversed", how) else slider
        )
        steps = [step for step, _ in _each(said["step"] or "1", rank)]
        result = signal.correlate(ground, lying, "valid")
        result = result[tuple(slice(None, None, step) for step in steps)]
        result = np.rint(result[tuple(slice(n) for n in extents)])
        turned = np.flip(result) if said["back"] else result
        np.testing.assert_array_equal(turned, array_of(found, part.out), said[0])


def test_both_languages_say_as_much() -> None:
    for parameters in CASES:
        found = explain.explain(**parameters)
        for part in found.passes:
            english, chinese = (
                explain.sentences(part, found, language) for language in ("en", "zh")
            )
            assert len(english) == len(chinese)
            numbers = (
                sorted(re.findall(r"\d+", " ".join(said)))
                for said in (english, chinese)
            )
            assert next(numbers) == next(numbers)
