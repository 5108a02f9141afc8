"""What counts as code under test, and how its form is brought to plain functions."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from unit.check.subjects import (
    BY_ARRAYS,
    BY_NUMBERS,
    CHANNELS_LAST,
    COURSE,
    NAIVE,
    integers,
    naive,
    write,
)

from rot180.check.subjects._outcome import Outcome, Raised, Unsupported, Values
from rot180.check.subjects._runner import ChildRunner, LocalRunner
from rot180.check.subjects._subject import describe
from rot180.errors import DataError

X, W, B = integers(2, 3, 5, 6), integers(4, 3, 2, 2, seed=1), integers(4, seed=2)
FORMS = {
    "course": COURSE,
    "course, channels last": CHANNELS_LAST,
    "by numbers": BY_NUMBERS,
    "by arrays": BY_ARRAYS,
}


def module(text: str, name: str = "layers") -> ModuleType:
    made = ModuleType(name)
    exec(text, made.__dict__)
    return made


def call(runner: Any, function: str, *arrays: Any, **options: Any) -> Outcome:
    names = [f"a{i}" for i in range(len(arrays))]
    return runner.call(function, tuple(zip(names, arrays, strict=True)), options)


def results(outcome: Outcome) -> tuple[Any, ...]:
    assert isinstance(outcome, Values), outcome
    return outcome.results


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1}], ids=str)
@pytest.mark.parametrize("bias", [None, B], ids=["no bias", "bias"])
def test_every_form_computes_what_its_code_computes(
    text: str, options: dict[str, int], bias: Any
) -> None:
    runner, plain = LocalRunner(module(text)), naive()
    steps = options.get("stride", 1), options.get("padding", 0)
    b = np.zeros(4, "float32") if bias is None else bias
    y = plain["forward"](X, W, b, *steps)
    (got,) = results(call(runner, "conv", X, W, bias, **options))
    assert (got == y).all()
    dy = integers(*y.shape, seed=3)
    grads = results(call(runner, "conv_backward", dy, X, W, **options))
    for got, expected in zip(grads, plain["backward"](dy, X, W, *steps), strict=True):
        assert got.shape == expected.shape
        assert (got == expected).all()


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_neutral_options_are_no_obstacle_and_others_are_unsupported(text: str) -> None:
    runner = LocalRunner(module(text))
    neutral = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
    assert isinstance(call(runner, "conv", X, W, None, **neutral), Values)
    for option in ({"dilation": 2}, {"groups": 3}, {"flip": True}):
        outcome = call(runner, "conv", X, W, None, **neutral | option)
        assert isinstance(outcome, Unsupported)
        assert next(iter(option)) in outcome.reason


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("option", [{"stride": (1, 2)}, {"padding": ((1, 0), (0, 1))}])
def test_one_value_for_each_dimension_is_unsupported_where_it_is_one_number(
    text: str, option: dict[str, Any]
) -> None:
    outcome = call(LocalRunner(module(text)), "conv", X, W, None, **option)
    assert isinstance(outcome, Unsupported)


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_other_ranks_and_single_images_are_unsupported(text: str) -> None:
    runner = LocalRunner(module(text))
    assert isinstance(call(runner, "conv", X[0], W, None), Unsupported)
    assert isinstance(call(runner, "conv", X[..., 0], W[..., 0], None), Unsupported)


def test_the_course_form_has_pooling_and_relu() -> None:
    runner = LocalRunner(module(COURSE))
    assert runner.facts.functions == (
        *("conv", "conv_backward", "max_pool", "max_pool_backward"),
        *("relu", "relu_backward"),
    )
    assert "groups" in runner.facts.unsupported
    (y,) = results(call(runner, "max_pool", X, (2, 3), stride=2, padding=0))
    assert y.shape == (2, 3, 2, 2)
    assert y[0, 0, 0, 0] == X[0, 0, :2, :3].max()
    (dx,) = results(call(runner, "relu_backward", X, X))
    assert (dx == X * (X > 0)).all()
    assert isinstance(call(runner, "max_pool", X, 2, ceil_mode=True), Unsupported)


def test_a_course_function_without_cache_is_no_silent_image() -> None:
    text = COURSE.replace("return y, (x, w, b, conv_param)", "return y")
    outcome = call(LocalRunner(module(text)), "conv", X, W, None)
    assert isinstance(outcome, Raised)
    assert "not (out, cache)" in outcome.message


def test_functions_by_our_names_come_before_the_course_s() -> None:
    text = COURSE + "\n\ndef conv(x, w, b=None):\n    return x\n"
    runner = LocalRunner(module(text))
    assert (results(call(runner, "conv", X, W, None))[0] == X).all()
    assert "conv_backward" not in runner.facts.functions
    assert "relu_backward" in runner.facts.functions
    assert not runner.facts.unsupported


def test_a_class_without_gradient_names_what_was_looked_for() -> None:
    runner = LocalRunner(module(BY_NUMBERS.replace("d_weights", "slopes")))
    dy = np.ones((2, 4, 4, 5), "float32")
    outcome = call(runner, "conv_backward", dy, X, W)
    assert isinstance(outcome, Unsupported)
    assert "d_weight" in outcome.reason
    assert "grad_weight" in outcome.reason


def test_a_class_may_return_the_three_gradients() -> None:
    text = BY_NUMBERS.replace("        return dx\n", "        return dx, 1, 2\n")
    dy = np.ones((2, 4, 4, 5), "float32")
    outcome = call(LocalRunner(module(text)), "conv_backward", dy, X, W)
    assert results(outcome)[1:] == ("a number, not an array",) * 2


def test_a_filter_of_another_shape_is_refused_with_both_shapes() -> None:
    text = BY_NUMBERS.replace("randn(num_filters, in_c", "randn(in_c, num_filters")
    outcome = call(LocalRunner(module(text)), "conv", X, W, None)
    assert isinstance(outcome, Unsupported)
    assert "(3, 4, 2, 2)" in outcome.reason
    assert "(4, 3, 2, 2)" in outcome.reason


WRAPPED = """

class Parameter:
    def __init__(self, data):
        self.data = data


class Wrapped(Conv2D):
    def __init__(self, in_c, num_filters, filter_size):
        shape = num_filters, in_c, filter_size, filter_size
        self.w = Parameter(np.zeros(shape, "float32"))

    def forward(self, x):
        self.x = x
        return forward(x, self.w.data, 0, 1, 0)

    def backward(self, dout):
        dx, self.w.grad, _ = backward(dout, self.x, self.w.data, 1, 0)
        return dx
"""


def test_a_filter_that_the_class_wraps_is_found() -> None:
    runner = LocalRunner(module(BY_NUMBERS + WRAPPED).Wrapped)
    dy = np.ones((2, 4, 4, 5), "float32")
    dx, dw, db = results(call(runner, "conv_backward", dy, X, W))
    expected = naive()["backward"](dy, X, W, 1, 0)
    assert (dx == expected[0]).all()
    assert (dw == expected[1]).all()
    assert db is None


def test_several_classes_ask_for_a_choice() -> None:
    with pytest.raises(
        DataError, match="Name one of them after a colon, as in layers:"
    ):
        describe(module(BY_NUMBERS + BY_ARRAYS))


def test_a_class_that_is_no_convolution_says_why() -> None:
    with pytest.raises(DataError, match=r"class ReLU .* none of out_channels,"):
        describe(module(BY_NUMBERS).ReLU)


def test_nothing_to_judge_lists_what_was_looked_for_and_how_to_write_it() -> None:
    with pytest.raises(
        DataError, match="there is nothing here that can be judged"
    ) as e:
        describe(module("def blur(x, w): return x", "mine"))
    assert "conv_forward_naive(x, w, b, conv_param)" in str(e.value)
    assert "def conv_backward(dy, x, w, *, stride=1" in str(e.value)


def test_declarations_are_read() -> None:
    subject = SimpleNamespace(
        conv=lambda x, w, b=None: x,
        UNSUPPORTED={"groups": "for next week"},
        ARITHMETIC="fft",
        VERSIONS=("numpy", "not-a-package"),
    )
    facts = describe(subject).facts
    assert facts.unsupported == {"groups": "for next week"}
    assert facts.arithmetic == "fft"
    assert facts.versions["numpy"] == np.__version__
    assert facts.versions["not-a-package"] == "not installed"
    subject.UNSUPPORTED = ("rank 3", "groups")
    assert list(describe(subject).facts.unsupported) == ["groups", "rank 3"]


@pytest.mark.parametrize("variable", ["UNSUPPORTED", "VERSIONS", "ARITHMETIC"])
@pytest.mark.parametrize("value", [5, (1, "groups"), {2: "two"}], ids=str)
def test_a_declaration_of_another_kind_says_what_it_may_be(
    tmp_path: Path, variable: str, value: object
) -> None:
    spec = write(tmp_path, f"def relu(x): return x\n{variable} = {value!r}\n")
    with pytest.raises(DataError, match=f"^{variable} of .* is ") as error:
        describe(SimpleNamespace(relu=abs, **{variable: value}))
    assert repr(value) in str(error.value)
    assert "  Make it " in str(error.value)
    with ChildRunner(spec) as runner, pytest.raises(DataError) as again:
        _ = runner.facts.functions
    assert str(again.value) == str(error.value)


def spec_of(folder: Path, form: str) -> str:
    """Writes a subject and returns the text that names it; the folder is current."""
    text = COURSE if "course" in form else BY_NUMBERS
    match form:
        case "file":
            return write(folder, NAIVE + "\n\ndef conv(x, w, b=None):\n    return x\n")
        case "course file by another name":
            return write(folder, text, "01-my conv.py")
        case "class in a file":
            return write(folder, text) + ":Conv2D"
        case "module":
            write(folder, text, "mine/layers.py")
            return "mine.layers"
    write(folder, text, "mine/layers.py")
    return "mine.layers:Conv2D"


@pytest.mark.parametrize(
    "form",
    [
        *("file", "course file by another name", "class in a file"),
        *("module", "class in a module"),
    ],
)
def test_the_source_makes_a_script_that_does_not_need_rot180(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with ChildRunner(spec_of(tmp_path, form)) as runner:
        (expected,) = results(call(runner, "conv", X, W, None))
        script = "import sys\nsys.modules['rot180'] = None\n" + runner.facts.source
    script += (
        "import numpy as np\n"
        f"x = np.array({X.tolist()}, 'float32')\n"
        f"w = np.array({W.tolist()}, 'float32')\n"
        "print(subject.conv(x, w).tolist())\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
        timeout=60,
    )
    assert ran.stdout.strip() == str(expected.tolist())


def test_an_object_s_source_imports_it_again() -> None:
    from rot180.functional import conv

    lines = LocalRunner({"conv": conv}).facts.source
    names: dict[str, Any] = {}
    exec(lines, names)
    assert names["subject"].conv is conv
    assert "SystemExit" in LocalRunner({"conv": lambda x, w, b: x}).facts.source


def test_a_ready_adapter_s_source_is_its_own_text() -> None:
    with ChildRunner("scipy") as runner:
        assert "exec(" in runner.facts.source
        assert "rot180.check" not in runner.facts.source
        names: dict[str, Any] = {}
        exec(runner.facts.source, names)
        assert callable(names["subject"].conv)
        assert "scipy" in runner.facts.versions


def test_an_error_of_a_layer_is_a_refusal_only_of_several_numbers() -> None:
    class Conv:
        def __init__(
            self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1
        ) -> None:
            shape = (out_channels, in_channels, kernel_size, kernel_size)
            self.weight = np.zeros(shape, np.float32)

        def forward(self, x: Any) -> Any:
            raise TypeError("it stumbles")

        def backward(self, dy: Any) -> Any:
            raise TypeError("it stumbles")

    operands = [("x", np.ones((1, 1, 3, 3), "f4")), ("w", np.ones((1, 1, 1, 1), "f4"))]
    with LocalRunner(Conv) as runner:
        plain, several = (
            runner.call("conv", operands, {"stride": s}) for s in (1, (1, 2))
        )
    assert isinstance(plain, Raised)
    assert isinstance(several, Unsupported)
    assert several.reason == "Conv cannot take stride=(1, 2): TypeError: it stumbles"
