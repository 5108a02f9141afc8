"""Where the code under test is, and the lines of Python that import it."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import os
import re
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Final

from rot180.check.adapters import READY, module_name
from rot180.errors import DataError

_IMPORT: Final = re.compile(
    r"^from rot180\.check\.subjects\.(_\w+) import (?:\([^)]*\)|.*)\n", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Location:
    """What a text such as `layers.py:Conv` names.

    Attributes:
        spec: The text.
        name: Of the module.
        attribute: Of the module, perhaps with dots; empty for the module itself.
        folder: Put on `sys.path` first; None for a ready adapter.
        path: Of the file, where its name is not one that can be imported.
    """

    spec: str
    name: str
    attribute: str = ""
    folder: str | None = None
    path: Path | None = None

    def load(self) -> ModuleType:
        """Returns the module after importing it.

        Raises:
            DataError: There is no module of that name.
        """
        if self.folder is None:
            return _load_ready(self.name)
        sys.path.insert(0, self.folder)
        if self.path is not None:
            return _load_file(self.name, self.path)
        try:
            return importlib.import_module(self.name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{self.name}.".startswith(f"{error.name}."):
                raise
            raise DataError(
                f"there is no module {error.name!r}, looked for in "
                f"{self.folder} and the installed packages\n"
                "  Name a file, as in my_conv.py, a module that can be imported, or "
                f"one of {', '.join(READY)}."
            ) from error

    @property
    def source(self) -> str:
        """Lines that bind `subject`; they do not need rot180."""
        inner = (f"subject = subject.{self.attribute}",) if self.attribute else ()
        return "".join(f"{line}\n" for line in (*self._import_lines(), *inner))

    def _import_lines(self) -> tuple[str, ...]:
        if self.folder is None:
            text = Path(str(sys.modules[self.name].__file__)).read_text("utf-8")
            return "import types", *_embedded("subject", text)
        path = "import sys", f"sys.path.insert(0, {self.folder!r})"
        if self.path is not None:
            return (
                *("import importlib.util", *path),
                f"spec = importlib.util.spec_from_file_location({self.name!r}, "
                f"{str(self.path)!r})",
                "subject = importlib.util.module_from_spec(spec)",
                "spec.loader.exec_module(subject)",
            )
        return *path, f"import {self.name} as subject"


def named_in(holder: Any, path: str, spec: str = "") -> Any:
    """Returns what a name, perhaps with dots, means in a module or class.

    Args:
        holder: The module or class.
        path: The name; empty for the holder itself.
        spec: What the user wrote, if it is more than the name.

    Raises:
        DataError: There is no such name.
    """
    try:
        return reduce(getattr, path.split("."), holder) if path else holder
    except AttributeError as error:
        public = [name for name in dir(holder) if not name.startswith("_")]
        near = difflib.get_close_matches(path, public, 3, 0.5)
        nearest = f"The nearest is {near[0]!r}.  " if near else ""
        raise DataError(
            f"{spec or path}: {error}\n  {nearest}"
            f"It has {', '.join(public) or 'no names'}."
        ) from error


def _embedded(name: str, text: str) -> tuple[str, ...]:
    quoted = repr(text) if "'''" in text else f"r'''\n{text}'''"
    return f"{name} = types.ModuleType({name!r})", f"exec({quoted}, {name}.__dict__)"


def find(spec: str) -> Location:
    """Returns where the code is that a text names.

    Raises:
        DataError: The text names a file that does not exist, or cannot be a name.
    """
    if spec in READY:
        return Location(spec, module_name(spec))
    name, colon, attribute = spec.rpartition(":")
    if not colon:
        name, attribute = spec, ""
    if name.endswith(".py") or os.sep in name:
        return _find_file(spec, Path(name), attribute)
    if not all(part.isidentifier() for part in name.split(".")):
        raise DataError(
            f"{spec!r} names neither a file nor a module\n"
            "  Name a file, as in my_conv.py, a module, as in package.my_conv, or one "
            f"of {', '.join(READY)}."
        )
    return Location(spec, name, attribute, os.getcwd())


def _find_file(spec: str, path: Path, attribute: str) -> Location:
    if not path.is_file():
        kind = "is a folder" if path.is_dir() else "does not exist"
        raise DataError(f"{path} {kind}\n  Name a Python file, as in my_conv.py.")
    path = path.resolve()
    name, folder = path.stem, str(path.parent)
    taken = name in sys.modules or name in sys.stdlib_module_names
    by_path = taken or not name.isidentifier() or path.suffix != ".py"
    return Location(spec, name, attribute, folder, path if by_path else None)


def _load_ready(name: str) -> ModuleType:
    """Imports an adapter, whose framework may be absent."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise DataError(str(error)) from error


def _load_file(name: str, path: Path) -> ModuleType:
    """Imports a file whose name is not one that `import` would find."""
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise DataError(f"{path} is no Python file\n  Give it a name ending in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(name, module)
    spec.loader.exec_module(module)
    return module


def source_of(target: Any) -> str:
    """Returns lines that bind `subject` to what was given as an object."""
    if isinstance(target, ModuleType):
        return _located(target).source
    if isinstance(target, SimpleNamespace):
        return _namespace(vars(target))
    if inspect.isclass(target) or inspect.isfunction(target):
        module = sys.modules.get(target.__module__)
        if module is not None and "<locals>" not in target.__qualname__:
            return _located(module, target.__qualname__).source
    return "raise SystemExit('define the code to be judged here, as subject')\n"


def _namespace(functions: Mapping[str, Any]) -> str:
    lines = ["import types", "functions = types.SimpleNamespace()"]
    for name, function in functions.items():
        if callable(function):
            lines += [source_of(function).rstrip(), f"functions.{name} = subject"]
    return "\n".join([*lines, "subject = functions"]) + "\n"


def _located(module: ModuleType, attribute: str = "") -> Location:
    """A module by its name where its folders have it, else by its path."""
    name, file = module.__name__, getattr(module, "__file__", None)
    if file is None:
        return Location(name, name, attribute, os.getcwd())
    path = Path(file).resolve()
    inner = path.parent if path.stem == "__init__" else path.with_suffix("")
    parts = tuple(name.split("."))
    if inner.parts[-len(parts) :] == parts:
        return Location(name, name, attribute, str(inner.parents[len(parts) - 1]))
    return Location(name, path.stem, attribute, str(path.parent), path)


def glue(
    adapter: ModuleType,
    argument: str,
    names: Collection[str],
    kept: Collection[str] | None = (),
) -> str:
    """Returns lines that give `subject` functions made by an adapter of forms.

    Args:
        adapter: The module with `adapt`; its text becomes part of the lines.
        argument: What it adapts, an expression with `module`, the subject as it was.
        names: The functions to take from it.
        kept: Those that stay as they are; None where `subject` is made already.
    """
    text = _text(Path(str(adapter.__file__)))
    name = adapter.__name__.rpartition("_")[2]
    lines = ["import types"]
    if kept is not None:
        lines += ["module, subject = subject, types.SimpleNamespace()"]
        lines += [f"subject.{own} = module.{own}" for own in kept if own not in names]
    lines += [*_embedded(name, text), f"adapted = {name}.adapt({argument})"]
    lines += [f"subject.{own} = adapted.{own}" for own in names if own.islower()]
    return "".join(f"{line}\n" for line in lines)


def _text(path: Path) -> str:
    """The text of a form, and what it imports of ours in the place of the import."""
    found = path.read_text("utf-8")
    return _IMPORT.sub(lambda line: _text(path.with_name(f"{line[1]}.py")), found)
