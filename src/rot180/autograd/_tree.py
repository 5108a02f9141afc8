"""Trees: arrays held in dictionaries, lists, tuples and `None`, nested at will."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from rot180.errors import ArgumentError


@dataclass(frozen=True, slots=True)
class TreeDef:
    """The structure of a tree without its leaves; hashable.

    `kind` is "leaf", "none", "dict", "list", "tuple" or "namedtuple"; `names` holds a
    dictionary's keys in the order they were inserted; `factory` a named tuple's class.
    """

    kind: str
    children: tuple["TreeDef", ...] = ()
    names: tuple[Any, ...] = ()
    factory: type | None = None

    leaves: int = field(init=False, repr=False, compare=False)
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        leaves = sum([child.leaves for child in self.children])
        inner = tuple([child._hash for child in self.children])
        key = hash((self.kind, inner, self.names, self.factory))
        object.__setattr__(self, "leaves", leaves or int(self.kind == "leaf"))
        object.__setattr__(self, "_hash", key)

    def __hash__(self) -> int:
        return self._hash


_LEAF = TreeDef("leaf")
_NONE = TreeDef("none")


def tree_flatten(tree: Any) -> tuple[list[Any], TreeDef]:
    """Returns the leaves of `tree`, in order, and its structure.

    A dictionary is walked in the order of insertion; anything that is not a dict,
    list, tuple or None is a leaf.

    Raises:
        ArgumentError: The tree contains itself, or is too deep to be walked.
    """
    leaves: list[Any] = []
    try:
        return leaves, _flatten(tree, leaves)
    except RecursionError:
        raise ArgumentError(
            f"tree: a {type(tree).__name__} contains itself, or is nested too deeply\n"
            "  Pass dictionaries, lists and tuples of arrays."
        ) from None


def _flatten(tree: Any, leaves: list[Any]) -> TreeDef:
    if tree is None:
        return _NONE
    if isinstance(tree, dict):
        children = tuple([_flatten(child, leaves) for child in tree.values()])
        return TreeDef("dict", children, tuple(tree))
    if isinstance(tree, list):
        return TreeDef("list", tuple([_flatten(child, leaves) for child in tree]))
    if isinstance(tree, tuple):
        children = tuple([_flatten(child, leaves) for child in tree])
        if hasattr(tree, "_fields"):
            return TreeDef("namedtuple", children, factory=type(tree))
        return TreeDef("tuple", children)
    leaves.append(tree)
    return _LEAF


def tree_unflatten(treedef: TreeDef, leaves: list[Any]) -> Any:
    """Returns the tree of structure `treedef` with `leaves` in it.

    Raises:
        ArgumentError: The number of leaves is not that of the structure.
    """
    if len(leaves) != treedef.leaves:
        raise ArgumentError(
            f"tree_unflatten: the structure has {treedef.leaves} leaves, "
            f"{len(leaves)} were given"
        )
    return _build(treedef, iter(leaves))


def _build(treedef: TreeDef, leaves: Iterator[Any]) -> Any:
    match treedef.kind:
        case "leaf":
            return next(leaves)
        case "none":
            return None
        case "dict":
            pairs = zip(treedef.names, treedef.children, strict=True)
            return {name: _build(child, leaves) for name, child in pairs}
    children = [_build(child, leaves) for child in treedef.children]
    if treedef.kind == "list":
        return children
    return treedef.factory(*children) if treedef.factory else tuple(children)


def check_callable(name: str, function: object) -> None:
    """Refuses what cannot be called.

    Raises:
        ArgumentError: `function` cannot.
    """
    if not callable(function):
        raise ArgumentError(
            f"{name}: a {type(function).__name__} is no function\n"
            f"  Pass a function first: {name}(function, ...)."
        )


def tree_map(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """Returns a tree of `function(leaf, *leaves of others)`, shaped like `tree`.

    Raises:
        ArgumentError: A tree among `others` differs in structure.
    """
    check_callable("tree_map", function)
    leaves, treedef = tree_flatten(tree)
    columns = [leaves]
    for position, other in enumerate(others, start=2):
        column, structure = tree_flatten(other)
        if treedef != structure:
            raise ArgumentError(
                f"tree_map: tree {position} has another structure than the first\n"
                f"    first: {treedef.leaves} leaves, tree {position}: "
                f"{structure.leaves} leaves"
            )
        columns.append(column)
    return tree_unflatten(
        treedef, [function(*row) for row in zip(*columns, strict=True)]
    )


def leaf_paths(tree: Any, prefix: str = "") -> list[str]:
    """Returns for each leaf where it stands, such as `.conv['weight'][0]`."""
    if tree is None:
        return []
    if isinstance(tree, dict):
        pairs = [(f"{prefix}[{key!r}]", child) for key, child in tree.items()]
    elif isinstance(tree, list | tuple):
        pairs = [(f"{prefix}[{i}]", child) for i, child in enumerate(tree)]
    else:
        return [prefix or "the argument"]
    return [path for p, child in pairs for path in leaf_paths(child, p)]
