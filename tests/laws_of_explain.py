"""What several tests ask of explain: that its equations give the right numbers."""

from typing import Any

from explain_cases import Example, values_of
from formula_reader import Lookup, Place, compute, place

from rot180 import explain


def assert_true(example: Example, count_from: int) -> None:
    """Raises AssertionError unless every equation gives the right number."""
    found = explain.explain(
        values=example.given, count_from=count_from, **example.parameters
    )
    lookup, seen = numbers_of(example, found), set()
    for part in found.passes:
        for line in part.equations:
            name, _, _ = explain.line(line, found).partition(" = ")
            expected = lookup(place(name))
            letters = explain.letters(line, found.names)
            assert float(compute(letters, lookup)) == expected, f"{name} = {letters}"
            numbers = explain.numbers(line, values_of(found))
            assert float(compute(numbers, lookup)) == expected, f"{name} = {numbers}"
            assert line.cell.value(values_of(found)) == expected
            seen.add(known(place(name), found))
    sizes = {name: array.size for name, array in example.right.items()}
    assert len(seen) == sum(sizes.values())
    assert {tensor for tensor, _ in seen} == set(sizes)


def known(at: Place, found: explain.Explanation) -> Place:
    """Returns a place with the digits that belong to its tensor's name, as in `b1`."""
    tensor, indices = at
    if tensor in found.tensors:
        return at
    return tensor + "".join(str(i + 1) for i in indices), ()


def numbers_of(example: Example, found: explain.Explanation) -> Lookup:
    """Returns what a name stands for, as an int where it is one: sums are exact."""
    arrays = {name: example.array(name) for name in found.tensors}

    def lookup(at: Place) -> Any:
        tensor, indices = known(at, found)
        value = float(arrays[tensor][indices])
        return int(value) if value.is_integer() else value

    return lookup
