"""The programs for each framework compute the same numbers."""

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from explain_cases import draw_layer, values_of
from sweeps import amounts

from rot180 import explain
from rot180.errors import ArgumentError
from rot180.explain._code import template

# Of each layer, every time and in the slow run; JAX compiles each anew.
COUNTS = {"numpy": (16, 40), "pytorch": (16, 60), "jax": (1, 6), "rot180": (4, 12)}
NEEDS = {"numpy": "numpy", "pytorch": "torch", "jax": "jax", "rot180": "rot180"}


def _run(found: explain.Explanation, framework: str) -> dict[str, Any]:
    text = explain.program(found, framework)
    scope: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(text, framework, "exec"), scope)
    return scope


def _array(value: Any) -> np.ndarray:
    return np.asarray(value.detach() if hasattr(value, "detach") else value)


@pytest.mark.parametrize("layer", explain.LAYERS)
@pytest.mark.parametrize("framework", explain.FRAMEWORKS)
@pytest.mark.parametrize("run", amounts(0, 1))
@pytest.mark.filterwarnings("ignore:Using padding=.same:UserWarning")
def test_many_layers(framework: str, layer: str, run: int) -> None:
    pytest.importorskip(NEEDS[framework], reason=f"runs the program for {framework}")
    rng = np.random.default_rng(99)
    for _ in range(COUNTS[framework][run]):
        example = draw_layer(rng, layer)
        found = explain.explain(values=example.given, **example.parameters)
        scope = _run(found, framework)
        for name, right in example.right.items():
            if layer == "network" and name != "E" and name[1:] not in example.given:
                continue  # what stands in between, the program may hold otherwise
            got = _array(scope[name])
            assert got.shape == right.shape
            np.testing.assert_allclose(
                got, right, rtol=1e-12, err_msg=str(found.setting)
            )


NETWORKS = [
    {},
    {"bias": True, "layers": (("conv", ()), ("relu", ()), ("max_pool", (2, 2)),
                              ("conv", (2, 2)))},
    {"input": 9, "layers": (("conv", ()), ("relu", ()), ("avg_pool", (2,)),
                            ("conv", ()))},
    {"layout": "channels_last", "channels": (2, 3), "images": 2, "padding": 1},
    {"layout": "channels_last", "bias": True},
    {"layers": (("relu", ()),)},
]  # fmt: skip


@pytest.mark.parametrize("framework", explain.FRAMEWORKS)
@pytest.mark.parametrize("parameters", NETWORKS, ids=str)
@pytest.mark.filterwarnings("ignore:Using padding=.same:UserWarning")
def test_networks(framework: str, parameters: dict[str, Any]) -> None:
    pytest.importorskip(NEEDS[framework], reason=f"runs the program for {framework}")
    found = explain.explain(layer="network", **parameters)
    scope, values = _run(found, framework), values_of(found)
    computed = {part.out for part in found.passes}
    for name in ["E", *(f"d{given}" for given in found.given)]:
        if name in computed:
            right = np.reshape(list(values[name].values()), found.tensors[name].shape)
            np.testing.assert_allclose(_array(scope[name]), right, rtol=1e-12)


@pytest.mark.parametrize("framework", explain.FRAMEWORKS)
def test_a_program_prints_its_results(framework: str) -> None:
    text = explain.program(explain.explain(), framework)
    assert text.endswith('print(O, dX, dF, sep="\\n\\n")\n')
    text = template(explain.explain(), framework)
    assert [slot in text for slot in ("⟦X⟧", "⟦F⟧", "⟦dO⟧")] == [True] * 3


def test_numbers_are_written_in_full() -> None:
    found = explain.explain(input=1, kernel=1, values={"X": [1 / 3]})
    assert f"X = np.array([{1 / 3!r}]" in explain.program(found, "numpy")


def test_another_framework_is_refused() -> None:
    with pytest.raises(ArgumentError, match="framework is 'mxnet'\n  Use one of numpy"):
        explain.program(explain.explain(), "mxnet")
