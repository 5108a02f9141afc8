"""Parameters: read from short texts, written back, refused with a remedy."""

from dataclasses import fields

import numpy as np
import pytest
from explain_cases import draw

from rot180 import explain, ops
from rot180.errors import ArgumentError, Rot180Error
from rot180.explain._explained import explained
from rot180.explain._setting import setting


def test_the_table_of_parameters_is_the_fields_of_a_setting() -> None:
    names = [parameter.name for parameter in explain.PARAMETERS]
    assert names == [field.name for field in fields(explain.Setting)]


def test_words_of_the_library_are_choices() -> None:
    choices = {p.name: p.choices for p in explain.PARAMETERS}
    assert choices["padding_mode"] == ops.PADDING_MODES
    (padding,) = [p for p in explain.PARAMETERS if p.name == "padding"]
    assert [padding.take(word) for word in ops.PADDINGS] == list(ops.PADDINGS)


READ = [
    ("input", "5x6", (5, 6)),
    ("input", "5×6", (5, 6)),
    ("input", "7", 7),
    ("stride", "2", 2),
    ("stride", "2,1", (2, 1)),
    ("padding", "1", 1),
    ("padding", "1,2", (1, 2)),
    ("padding", "0:1,2:0", ((0, 1), (2, 0))),
    ("padding", "-1:1,0", ((-1, 1), 0)),
    ("padding", "SAME", "same"),
    ("flip", "true", True),
    ("flip", "0", False),
    ("layers", "conv:3x3,relu,max_pool:2", (("conv", (3, 3)), ("relu", ()),
                                            ("max_pool", (2,)))),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "value"), READ)
def test_texts_are_read(name: str, text: str, value: object) -> None:
    (parameter,) = [p for p in explain.PARAMETERS if p.name == name]
    assert parameter.take(text) == value
    assert setting(layer=parameter.layers[0], **_rest(name, text)) == setting(
        layer=parameter.layers[0], **_rest(name, value)
    )


def _rest(name: str, value: object) -> dict[str, object]:
    ranks = {"input": {}, "layers": {}}.get(name, {"input": (5, 6), "kernel": (2, 2)})
    return ranks | {name: value}


TAKEN = [
    ({"input": [5, 6]}, {"input": (5, 6)}),
    ({"input": np.array([5, 6])}, {"input": (5, 6)}),
    ({"input": np.int64(5)}, {"input": 5}),
    ({"padding": [[0, 1], [2, 0]]}, {"padding": ((0, 1), (2, 0))}),
    ({"padding": [1, (2, 0)]}, {"padding": (1, (2, 0))}),
    ({"channels": [2, 3]}, {"channels": (2, 3)}),
    ({"layers": ["conv:3x3", ("relu",)]}, {"layers": (("conv", (3, 3)), ("relu", ()))}),
    ({"layers": "conv:2,relu"}, {"layer": "network", "layers": "conv:2,relu"}),
]


@pytest.mark.parametrize(("given", "same"), TAKEN, ids=str)
def test_python_may_pass_any_sequence_and_any_integer(
    given: dict[str, object], same: dict[str, object]
) -> None:
    found = setting(**given)
    assert found == setting(**same)
    hash(found)


NOT_TAKEN = [
    {"input": 5.0}, {"input": None}, {"input": (3.0, 3)}, {"stride": True},
    {"images": True}, {"bias": 1}, {"flip": "perhaps"}, {"layer": 3},
    {"layer": ["conv"]}, {"layers": ()}, {"layers": "conv:x"},
    {"layers": (("conv", 1.5),)}, {"layers": 3},
    {"padding": ((0, 1, 2), 1)}, {"padding": 0.5}, {"channels": {}}, {"groups": (1, 1)},
]  # fmt: skip


@pytest.mark.parametrize("given", NOT_TAKEN, ids=str)
def test_what_is_of_another_kind_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ArgumentError, match=r"explain: .* is .*\n  "):
        explain.explain(**given)


def test_one_that_equals_another_does_not_stand_for_it() -> None:
    explain.explain(images=1)
    with pytest.raises(ArgumentError, match="images is 'True'"):
        explain.explain(images=True)
    assert str(explain.explain(count_from=True).passes) == str(
        explain.explain(count_from=1).passes
    )


def test_what_is_written_is_read_back() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        found = setting(**draw(rng).parameters)
        assert setting(**found.words()) == found
    for layer in explain.LAYERS:
        for size in (None, (6,)):
            given = {} if size is None else {"input": size}
            found = setting(layer=layer, **given)
            assert setting(**found.words()) == found


def test_nothing_is_written_of_the_defaults() -> None:
    assert setting().words() == {}
    assert setting(layer="network").words() == {"layer": "network"}
    assert setting(stride=2, padding=((1, 1), (1, 1))).words() == {
        "stride": "2", "padding": "1",
    }  # fmt: skip


def test_one_number_stands_for_all_dimensions() -> None:
    found = setting(input=(5, 5), kernel=3, stride=2, padding=1)
    assert (found.kernel, found.stride) == ((3, 3), (2, 2))
    assert found.padding == ((1, 1), (1, 1))
    assert setting(input=7).kernel == (2,)
    assert setting(layer="max_pool", kernel=3, input=6).stride == (3,)


BAD = [
    ({"input": "0x3"}, "input is '0x3', out of range\n  Use numbers from 1 to 32."),
    ({"input": "-1x3"}, "out of range"),
    ({"input": "999999999x9"}, "input is '999999999x9', out of range"),
    ({"input": "9" * 30}, "which cannot be read"),
    ({"channels": "2x3x4"}, "3 numbers for 2\n  Write it like 2x3."),
    ({"input": "3x3", "stride": "2,1,1"}, "stride is '2,1,1', 3 numbers for 2"),
    ({"input": "3", "kernel": "2x2"}, "kernel is '2x2', 2 numbers for 1"),
    ({"input": "3x3x3"}, "which has 3 dimensions\n  Pass one or two, such as 7 or 5x5"),
    ({"input": "wide"}, "which cannot be read\n  Write it like 5x5."),
    ({"input": "nan"}, "which cannot be read"),
    ({"input": "1e3"}, "which cannot be read"),
    ({"input": "x" * 99}, r"input is 'x{37}\.\.\.', which cannot be read"),
    ({"kernel": "2x2x2"}, "kernel is '2x2x2', 3 numbers for 2"),
    ({"stride": "0"}, "stride is '0', out of range\n  Use numbers from 1 to 16."),
    ({"padding": "wide"}, r"or one of valid, same, same_lower, full, causal\."),
    ({"padding": "99"}, "out of range"),
    ({"flip": "perhaps"}, "flip is 'perhaps', which cannot be read"),
    ({"layer": "dense"}, "layer is 'dense', which is not known\n  Use one of conv, "),
    ({"layer": "relu", "stride": "2"}, "layer relu has no stride\n  Leave it out, or"),
    ({"padding_mode": "mirror"}, "padding_mode is 'mirror', which is not known"),
    ({"colour": "red"}, "'colour' is no parameter\n  Use some of layer, layers, input"),
    ({"groups": "2"}, "groups=2 does not divide the 1 channels of X"),
    ({"kernel": "5x5"}, "the window spans 5 rows, X has 3\n"),
    ({"layer": "max_pool", "channels": "2x3"}, "gives as many channels as it takes"),
    ({"layer": "conv_transpose", "output_padding": "1"}, "output_padding .* range"),
    ({"layer": "network", "layers": "conv,gelu"}, "'gelu' of the network is not known"),
    ({"layer": "network", "layers": ",".join(["relu"] * 9)}, "9 layers, at most 8"),
    ({"layer": "network", "layers": "conv:2x2x2"}, "a window in 3 dimensions"),
    ({"input": "32x32", "kernel": "16x16"}, "221,952 products in all passes, at most"),
    ({"layer": "max_pool", "input": "32x32", "kernel": "16x16", "stride": "1"}, "147"),
    ({"layer": "network", "input": "20x20", "channels": "4x4"}, "products in all pass"),
    ({"input": "32x32", "padding": "16", "kernel": "4x4", "dilation": "16"},
     "6,400 positions to slide over, at most 4,096 are drawn"),
    ({"input": "32x32", "channels": "16x16", "images": "8"},
     "numbers in all tensors|products in"),
    ({"layer": "relu", "input": "32x32", "channels": "4"},
     "16,384 numbers in all tensors"),
    ({"layer": "max_pool", "input": "32x30", "kernel": "29x29", "stride": "1"}, "what"),
]  # fmt: skip


@pytest.mark.parametrize(("texts", "message"), BAD, ids=lambda v: str(v)[:32])
def test_bad_parameters_are_refused_with_a_remedy(
    texts: dict[str, str], message: str
) -> None:
    with pytest.raises(Rot180Error, match=message) as caught:
        explained(setting(**texts))
    assert "\n  " in str(caught.value)


@pytest.mark.parametrize("count_from", [2, -1, None])
def test_counting_from_elsewhere_is_refused(count_from: int) -> None:
    with pytest.raises(ArgumentError, match="Count from 1 or from 0"):
        explain.explain(count_from=count_from)
