"""Modules: descriptions of networks, with parameters and state held outside them."""

import html
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

from rot180 import autograd, ops
from rot180.errors import ArgumentError, DataError, Rot180Error
from rot180.nn._key import BlankKey, Key
from rot180.nn._picture import line, picture
from rot180.nn._state_dict import Array, Params, check_names, filled


class Module(ABC):
    """A part of a network: it says which arrays it needs and what it does with them.

    A module holds no arrays. `init` makes the parameters (what training changes) and
    the state (what it only records, such as running means); `apply` takes both and
    returns the new state.

    A module made of others stores them as attributes and calls them through `scope`:

        class Residual(Module):
            def __init__(self, channels):
                self.conv = Conv2d(channels, channels, 3, padding=1)
                self.bn = BatchNorm2d(channels)

            def forward(self, scope, x):
                return relu(x + scope(self.bn, scope(self.conv, x)))
    """

    @abstractmethod
    def forward(self, scope: "Scope", x: Any) -> Any:
        """Returns the output for `x`, an array or a traced tensor.

        Args:
            scope: Gives this module's arrays and runs its children.
            x: The input; its shape is the module's affair.
        """

    def own_params(self, key: Key) -> dict[str, Array]:
        """Returns newly initialised parameters, without those of children."""
        return {}

    def own_state(self) -> dict[str, Array]:
        """Returns the initial state, without that of children."""
        return {}

    def children(self) -> dict[str, "Module"]:
        """Returns the modules this one is made of, by name."""
        found = vars(self).items()
        return {name: value for name, value in found if isinstance(value, Module)}

    def init(self, seed: int | Key) -> tuple[Params, Params]:
        """Returns `(params, state)`, both trees of arrays, drawn from `seed`.

        Raises:
            ArgumentError: `seed` is neither a key nor an integer >= 0, or one module
                with parameters stands in two places.
        """
        key = Key.from_seed(seed)
        self._check_places()
        params: Params = dict(self.own_params(key))
        state: Params = dict(self.own_state())
        for name, child in self.children().items():
            params[name], state[name] = child.init(key.fold(name))
        return _without_empty(params), _without_empty(state)

    def _check_places(self) -> None:
        places: dict[int, str] = {}
        for name, child in self.children().items():
            first = places.setdefault(id(child), name)
            if first != name and child.names():
                raise ArgumentError(
                    f"{type(child).__name__} stands in two places, {first} and {name}\n"
                    "  Make two of them: shared parameters are not available."
                )

    def apply(
        self,
        params: Params,
        state: Params,
        x: Any,
        *,
        training: bool,
        key: Key | None = None,
    ) -> tuple[Any, Params]:
        """Returns `(y, new_state)`.

        Args:
            params: As returned by `init`.
            state: As returned by `init` or by an earlier call.
            x: The input, an array or a traced tensor.
            training: Whether batch statistics are used and recorded.
            key: Randomness for modules that need it.

        Raises:
            ArgumentError: `params` or `state` is no tree.
            Rot180Error: What a layer raises; the message names the layer.
        """
        _check_trees(params, state)
        if key is not None and not isinstance(key, Key):
            raise ArgumentError(
                f"key is a {type(key).__name__}, not a Key\n"
                "  Pass Key.from_seed(seed), or nothing."
            )
        ops.check_flags(type(self).__name__, training=training)
        scope = Scope(self, params, state, training, key)
        return self.forward(scope, x), scope.new_state

    def state_dict(self, params: Params, state: Params) -> dict[str, Array]:
        """Returns all arrays under the names PyTorch gives them, such as `0.weight`.

        Raises:
            ArgumentError: `params` or `state` is no tree.
            DataError: The trees are not those of this network.
        """
        _check_trees(params, state)
        arrays = {**dict(_flat(params)), **dict(_flat(state))}
        missing = [name for name in self.names() if name not in arrays]
        if missing:
            raise DataError(
                f"{type(self).__name__}: params and state lack {', '.join(missing)}\n"
                "  Pass both as init or load_state_dict returned them."
            )
        return {name: arrays[name] for name in self.names()}

    def load_state_dict(self, arrays: Mapping[str, Any]) -> tuple[Params, Params]:
        """Returns `(params, state)` holding `arrays`, named as PyTorch names them.

        `num_batches_tracked`, which old files lack, may be missing: it is then 0.
        Numbers are converted to the module's dtypes, bfloat16 included.

        Raises:
            ArgumentError: `arrays` is no mapping.
            DataError: A name is missing or unknown, or a number too large.
            DTypeError: Something is no array of numbers.
            ShapeError: An array has another shape than the module's.
        """
        check_names(type(self).__name__, self.names(), arrays)
        params, state = self.init(BlankKey())
        return filled(params, arrays), filled(state, arrays)

    def names(self) -> list[str]:
        """Returns the names of all arrays, in PyTorch's order."""
        own = [*self.own_params(BlankKey()), *self.own_state()]
        for name, child in self.children().items():
            own += [f"{name}.{inner}" for inner in child.names()]
        return own

    def __repr__(self) -> str:
        return picture(self)

    def _repr_html_(self) -> str:
        """Returns the same for notebooks, whose cells would wrap the lines."""
        return f"<pre>{html.escape(repr(self))}</pre>"


class Scope:
    """What a module sees while it is applied: its own arrays, and its children.

    Attributes:
        training: Whether batch statistics are used and recorded.
        key: Randomness for this module, or None.
        new_state: The state after this call.
    """

    def __init__(
        self,
        module: Module,
        params: Params,
        state: Params,
        training: bool,
        key: Key | None,
    ) -> None:
        self._module = module
        self._params = params
        self._names = {id(child): name for name, child in module.children().items()}
        self.training = training
        self.key = key
        self.new_state: Params = dict(state)

    def param(self, name: str) -> Any:
        """Returns the parameter `name`, or None if the module has no such parameter.

        Raises:
            DataError: The module has it, and the parameters given lack it.
        """
        value = self._params.get(name)
        if value is None and name in self._module.own_params(BlankKey()):
            raise _lacking("params", name, self._params)
        return _array("params", name, value)

    def state(self, name: str) -> Any:
        """Returns the state `name`, or None if the module keeps no such state.

        Raises:
            DataError: The module keeps it, and the state given lacks it.
        """
        value = self.new_state.get(name)
        if value is None and name in self._module.own_state():
            raise _lacking("state", name, self.new_state)
        return _array("state", name, value)

    def update(self, **values: Any) -> None:
        """Records new values of this module's state."""
        self.new_state.update(values)

    def __call__(self, child: Module, x: Any) -> Any:
        """Returns the output of `child`, a module held by this one.

        Raises:
            ArgumentError: `child` is not among this module's children.
        """
        name = self._names.get(id(child))
        if name is None:
            raise ArgumentError(
                f"{type(child).__name__} is not part of the module that called it\n"
                "  Store it as an attribute of that module in __init__."
            )
        try:
            with autograd.inside(name, type(child).__name__):
                y, state = child.apply(
                    self._params.get(name, {}),
                    self.new_state.get(name, {}),
                    x,
                    training=self.training,
                    key=None if self.key is None else self.key.fold(name),
                )
        except Rot180Error as error:
            error.within(name, line(child))
            raise
        if state:
            self.new_state[name] = state
        return y


def _check_trees(params: Params, state: Params) -> None:
    for name, tree in (("params", params), ("state", state)):
        if not isinstance(tree, Mapping):
            raise ArgumentError(
                f"{name} is a {type(tree).__name__}, not a dictionary\n"
                "  Pass what init or load_state_dict returned."
            )


def _without_empty(tree: Params) -> Params:
    return {k: v for k, v in tree.items() if not (isinstance(v, dict) and not v)}


def _flat(tree: Params, prefix: str = "") -> Iterator[tuple[str, Array]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _array(operand: str, name: str, value: Any) -> Any:
    if value is None or hasattr(value, "dtype"):
        return value
    raise DataError(
        f"{operand} hold a {type(value).__name__} as {name!r}, not an array\n"
        "  Pass what init or load_state_dict returned."
    )


def _lacking(operand: str, name: str, given: Params) -> DataError:
    return DataError(
        f"{operand} hold no {name!r}, but {', '.join(map(repr, given)) or 'nothing'}\n"
        "  Pass what init or load_state_dict of the whole network returned."
    )
