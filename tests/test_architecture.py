"""The rooms of the package and what may stand in each."""

import ast
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "rot180"
FILES = sorted(SOURCE.rglob("*.py"))

BASE = {
    "click",
    "hypothesis",
    "llvmlite",
    "numpy",
    "platformdirs",
    "rich",
    "safetensors",
}
# A module that is loaded to judge a framework; it imports that framework at once.
ADAPTERS = "check/adapters/"
FRAMEWORKS = {"convnet", "jax", "onnx", "scipy", "torch"}
# Optional packages, imported when used, and the only files that may use them.
OPTIONAL = {
    "matplotlib": ("train/", "functional/_step_chart.py"),
    "starlette": "explain/",
    **dict.fromkeys(FRAMEWORKS, ADAPTERS),
}


def _relative(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def _imported_by(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [alias.name.partition(".")[0] for alias in names]
        case ast.ImportFrom(module=str(module), level=0):
            return [module.partition(".")[0]]
    return []


def _walk_at_import_time(node: ast.AST) -> Iterator[ast.AST]:
    """Every node that runs when the module is imported.

    Function bodies do not, nor does what stands there for type checkers alone.
    """
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _walk_at_import_time(child)


def _third_party(nodes: Iterator[ast.AST]) -> set[str]:
    names = {name for node in nodes for name in _imported_by(node)}
    return names - set(sys.stdlib_module_names) - {"rot180"}


def test_rooms_import_only_downwards(capsys: pytest.CaptureFixture[str]) -> None:
    code = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)
    assert code == 0, capsys.readouterr().out


@pytest.mark.parametrize("path", FILES, ids=_relative)
def test_importing_a_module_needs_base_packages_only(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    allowed = BASE | (FRAMEWORKS if _relative(path).startswith(ADAPTERS) else set())
    assert _third_party(_walk_at_import_time(tree)) <= allowed


@pytest.mark.parametrize("path", FILES, ids=_relative)
def test_optional_packages_are_used_where_announced(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for name in _third_party(ast.walk(tree)) - BASE:
        assert name in OPTIONAL, f"{_relative(path)} imports {name}"
        assert _relative(path).startswith(OPTIONAL[name])


@pytest.mark.parametrize(
    "path", [p for p in FILES if p.name == "__init__.py"], ids=_relative
)
def test_each_package_says_what_is_public(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assigned = [
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]
    assert "__all__" in assigned


@pytest.mark.parametrize(
    "path",
    [p for p in FILES if _relative(p).startswith(("program/", "schedules/"))],
    ids=_relative,
)
def test_programs_and_schedules_do_not_know_the_word_convolution(path: Path) -> None:
    with path.open("rb") as source:
        tokens = list(tokenize.tokenize(source.readline))
    names = {token.string for token in tokens if token.type == tokenize.NAME}
    assert {name for name in names if "conv" in name.lower()} == set()
