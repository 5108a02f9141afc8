"""Trees of arrays."""

from typing import NamedTuple

import pytest

from rot180.autograd import tree_flatten, tree_map, tree_unflatten
from rot180.autograd._tree import leaf_paths
from rot180.errors import ArgumentError


class Pair(NamedTuple):
    left: object
    right: object


TREES = [
    1,
    None,
    [],
    {},
    {"a": 1, "b": [2, (3, None)]},
    (1, [2, {"x": 3}]),
    Pair(1, {"y": 2}),
]


@pytest.mark.parametrize("tree", TREES, ids=str)
def test_unflatten_undoes_flatten(tree: object) -> None:
    leaves, treedef = tree_flatten(tree)
    rebuilt = tree_unflatten(treedef, leaves)
    assert rebuilt == tree
    assert type(rebuilt) is type(tree)


def test_structures_are_equal_by_value_and_hashable() -> None:
    one, other = (tree_flatten({"a": [x], "b": None})[1] for x in (1, 2))
    assert one == other
    assert hash(one) == hash(other)
    assert one != tree_flatten({"a": (1,), "b": None})[1]
    assert one != tree_flatten({"c": [1], "b": None})[1]


def test_map_takes_several_trees() -> None:
    assert tree_map(lambda a, b: a + b, {"x": [1]}, {"x": [2]}) == {"x": [3]}


def test_map_refuses_another_structure() -> None:
    with pytest.raises(ArgumentError, match="tree 2 has another structure"):
        tree_map(lambda a, b: a, [1, 2], [1])


def test_unflatten_refuses_another_number_of_leaves() -> None:
    _, treedef = tree_flatten([1, 2])
    with pytest.raises(ArgumentError, match="has 2 leaves, 3 were given"):
        tree_unflatten(treedef, [1, 2, 3])


def test_paths_say_where_a_leaf_stands() -> None:
    assert leaf_paths({"a": [1, None, 2]}) == ["['a'][0]", "['a'][2]"]
    assert leaf_paths(1) == ["the argument"]
