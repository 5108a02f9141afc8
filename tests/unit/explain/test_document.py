"""The JSON: its keys are documented, its numbers are counted through, it is strict."""

import json
from pathlib import Path
from typing import Any

import pytest

from rot180 import explain

DOCS = Path(__file__).parents[3] / "docs"
CASES = {
    "conv": {"bias": True, "channels": (1, 2)},
    "max_pool": {"padding": 1, "stride": 1},
    "avg_pool": {"padding": 1, "count_include_pad": False},
    "relu": {},
    "network": {},
    "conv_transpose": {"stride": 2},
}


def _refused(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def _told(layer: str) -> Any:
    found = explain.explain(layer=layer, **CASES[layer])
    return json.loads(found.json(), parse_constant=_refused)


def _keys(value: Any) -> set[str]:
    if isinstance(value, list):
        return set().union(*map(_keys, value))
    if isinstance(value, dict):
        return set(value).union(*map(_keys, value.values()))
    return set()


@pytest.mark.parametrize("layer", CASES)
def test_numbers_are_counted_through(layer: str) -> None:
    told = _told(layer)
    labels = [label for tensor in told["tensors"] for label in tensor["labels"]]
    assert len(set(labels)) == len(labels)
    first = 0
    for tensor in told["tensors"]:
        assert tensor["first"] == first
        first += len(tensor["labels"])
    for part in told["passes"]:
        for equation in part["equations"]:
            for term in equation["terms"]:
                for id_ in term["factors"]:
                    assert labels[id_] in equation["text"]


@pytest.mark.parametrize("layer", CASES)
def test_the_terms_alone_give_the_values(layer: str) -> None:
    """A reader who knows nothing but the documented rules computes the same."""
    told = _told(layer)
    values = [v for tensor in told["tensors"] for v in tensor["values"]]
    tensors = {tensor["name"]: tensor for tensor in told["tensors"]}
    equations = {
        tensors[part["out"]]["first"] + i: equation
        for part in told["passes"]
        for i, equation in enumerate(part["equations"])
    }

    def took(choice: dict[str, int]) -> bool:
        of = equations[choice["of"]]
        among = [term["factors"][0] for term in of["terms"]]
        best = max(among, key=lambda one: values[one])
        floor = of["floor"]
        return best == choice["cell"] and (floor is None or values[best] > floor)

    def value(term: dict[str, Any]) -> float:
        if "choice" in term and not took(term["choice"]):
            return 0
        product = term.get("sign", 1) / term.get("over", 1)
        for factor in term["factors"]:
            product *= values[factor]
        return product

    for id_, equation in equations.items():
        found = [value(term) for term in equation["terms"]]
        if equation.get("reduction") == "max":
            floor = equation["floor"]
            right = max([*found, *([] if floor is None else [floor])])
        else:
            right = sum(found)
        assert right == pytest.approx(values[id_])


def test_what_is_no_number_is_text() -> None:
    found = explain.explain(layer="max_pool", input=(2,), kernel=1, stride=1, padding=1)
    told = json.loads(found.json(), parse_constant=_refused)
    (o,) = [tensor for tensor in told["tensors"] if tensor["name"] == "O"]
    assert o["values"][0] == o["values"][-1] == "-inf"


def test_letters_have_no_values() -> None:
    told = json.loads(explain.explain(values="letters").json())
    assert {str(tensor["values"]) for tensor in told["tensors"]} == {"None"}


def test_the_page_about_the_json_names_every_key() -> None:
    text = (DOCS / "reference" / "explain-json.md").read_text(encoding="utf-8")
    known = {parameter.name for parameter in explain.PARAMETERS}
    for layer in CASES:
        keys = _keys(_told(layer)) - known - set(explain.FRAMEWORKS)
        assert {key for key in keys if f"`{key}`" not in text} == set()


def test_the_page_s_data_are_the_same_without_texts() -> None:
    found = explain.explain()
    lean = explain.document(found, texts=False)
    assert "text" not in lean["passes"][0]["equations"][0]
    assert "⟦X⟧" in lean["code"]["numpy"]
    assert lean["tensors"] == explain.document(found)["tensors"]
