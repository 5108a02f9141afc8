"""`jit`: trace a function once for each kind of arguments, then only run its steps."""

import functools
import inspect
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from rot180 import ops, runtime
from rot180.autograd._graph import Graph
from rot180.autograd._program import evaluate, prepare
from rot180.autograd._tensor import Tensor, as_array, lift
from rot180.autograd._tree import (
    TreeDef,
    check_callable,
    leaf_paths,
    tree_flatten,
    tree_unflatten,
)
from rot180.errors import ArgumentError, DTypeError, TraceError

CACHE_SIZE: Final = 512
# One for all jitted functions, as it is held for a look-up alone.
_lock = runtime.fork_safe_lock()

_RESULT: Final = object()
_ARRAYS: Final = (np.ndarray, np.generic)


@dataclass(frozen=True, slots=True)
class _Trace:
    """A recorded function.

    Attributes:
        graph: The recording.
        inputs: The values that stand for array arguments.
        results: The values that the function returned.
        treedef: The structure of what it returned.
        leaves: The leaves: a constant, or _RESULT where the next result goes.
    """

    graph: Graph
    inputs: list[int]
    results: list[int]
    treedef: TreeDef
    leaves: tuple[Any, ...]

    def evaluate(self, arrays: list[Any]) -> Any:
        outputs = evaluate(self.graph, self.inputs, self.results, arrays)
        return _rebuild(self.treedef, self.leaves, outputs)

    def prepare(self) -> Callable[[list[Any]], Any]:
        program = prepare(self.graph, self.inputs, self.results)
        treedef, leaves = self.treedef, self.leaves
        return lambda arrays: _rebuild(treedef, leaves, program(*arrays))


def _rebuild(treedef: TreeDef, leaves: Sequence[Any], results: Sequence[Any]) -> Any:
    remaining = iter(results)
    filled = [next(remaining) if leaf is _RESULT else _own(leaf) for leaf in leaves]
    return tree_unflatten(treedef, filled)


def _own(constant: Any) -> Any:
    """A constant as the caller may have it: an array is copied, being changeable."""
    return constant.copy() if isinstance(constant, np.ndarray) else constant


def jit(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a function that traces `function` once and from then on runs its ops.

    Arguments are trees. Arrays and NumPy scalars in them, and what converts to arrays,
    such as tensors of PyTorch, are traced: a new trace is made for each combination of
    shapes and dtypes. Everything else (Python numbers,
    strings, modules) is constant within a trace, and another value means another
    trace: pass a number that changes often as `numpy.float32(value)`. Arrays that the
    function takes from outside are constants too. Results are arrays of their own: they
    share no memory with arguments, constants or each other, and no later call writes to
    them. The memory of what is computed on the way is kept for the next call, as long
    as the returned function is; so are results that went in as well, as parameters do,
    once nobody holds them any more.

    Args:
        function: Takes and returns trees of arrays of any shapes, of dtype float32 or
            float64; integers where an op takes them.

    Raises:
        ArgumentError: An argument is neither an array nor hashable.
        TraceError: The function needed the value of a traced tensor.

    Example:
        >>> import numpy as np
        >>> import rot180
        >>> double = rot180.jit(lambda x: x + x)
        >>> double(np.array([1.0, 2.0]))
        array([2., 4.])
    """
    check_callable("jit", function)
    traces: OrderedDict[Hashable, Callable[[list[Any]], Any]] = OrderedDict()

    @functools.wraps(function)
    def compiled(*args: Any, **named: Any) -> Any:
        leaves, treedef = tree_flatten((args, named))
        if any(map(ops.is_traced, leaves)):
            return function(*args, **named)  # part of the enclosing trace
        leaves = [converted(leaf) for leaf in leaves]
        key = (treedef, tuple(map(_key, leaves)))
        arrays = [leaf for leaf in leaves if isinstance(leaf, _ARRAYS)]
        with _lock:
            traced = traces.get(key)
            if traced is not None:
                traces.move_to_end(key)
        if traced is None:
            trace = _trace(function, treedef, leaves)
            if not trace.graph.is_closed:  # it holds tensors of an enclosing trace
                return trace.evaluate(arrays)
            traced = trace.prepare()
            with _lock:
                traces[key] = traced
                if len(traces) > CACHE_SIZE:
                    traces.popitem(last=False)
        return traced(arrays)

    return compiled


def trace_call(function: Callable[..., Any], *args: Any, **named: Any) -> _Trace:
    """Returns the recording of one call."""
    check_callable("trace", function)
    leaves, treedef = tree_flatten((args, named))
    return _trace(function, treedef, [converted(leaf) for leaf in leaves])


def _trace(function: Callable[..., Any], treedef: TreeDef, leaves: list[Any]) -> _Trace:
    graph = Graph()
    inputs = []
    arguments = []
    for leaf in leaves:
        if is_array(leaf):
            inputs.append(graph.new_input(_type_of(leaf, function, treedef, leaves)))
            leaf = Tensor(graph, inputs[-1])
        arguments.append(leaf)
    args, named = tree_unflatten(treedef, arguments)
    outputs, out_tree = tree_flatten(function(*args, **named))
    results = [lift(graph, leaf) for leaf in outputs if ops.is_traced(leaf)]
    constants = tuple(_RESULT if ops.is_traced(leaf) else leaf for leaf in outputs)
    return _Trace(graph, inputs, results, out_tree, constants)


def _type_of(
    leaf: Any, function: Callable[..., Any], treedef: TreeDef, leaves: list[Any]
) -> ops.TensorType:
    try:
        return ops.type_of(as_array(leaf))
    except (DTypeError, TraceError) as error:
        at = next(i for i, other in enumerate(leaves) if other is leaf)
        path = _paths(function, *tree_unflatten(treedef, leaves))[at]
        raise type(error)(f"jit: argument {path}: {error}") from None


def _paths(function: Callable[..., Any], args: Any, named: Any) -> list[str]:
    """Returns for each leaf where it stands, by the names of the parameters."""
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # something built in
        names = []
    names += [str(i) for i in range(len(names), len(args))]
    pairs = [*zip(names, args, strict=False), *named.items()]
    return [path for name, tree in pairs for path in leaf_paths(tree, name)]


def is_array(leaf: Any) -> bool:
    return isinstance(leaf, _ARRAYS)


def converted(leaf: Any) -> Any:
    """What converts to an array, converted: as it may change, it is no constant."""
    if type(leaf) is np.ndarray or isinstance(leaf, np.generic):
        return leaf
    if hasattr(type(leaf), "__array__"):
        return runtime.plain_array(leaf)
    return np.from_dlpack(leaf) if hasattr(type(leaf), "__dlpack__") else leaf


def _key(leaf: Any) -> Hashable:
    if isinstance(leaf, _ARRAYS):
        return leaf.shape, leaf.dtype.char
    if isinstance(leaf, float):
        return type(leaf), leaf.hex()  # -0.0 equals 0.0 and is another constant
    try:
        hash(leaf)
    except TypeError:
        raise ArgumentError(
            f"jit: an argument of type {type(leaf).__name__} is neither an array nor "
            "hashable\n"
            "  Convert it with numpy.asarray, or take it from outside the function."
        ) from None
    return type(leaf), leaf
