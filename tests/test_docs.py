"""What the documents say is so: examples run, links lead somewhere."""

import ast
import doctest
import importlib
import inspect
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from helpers import child_environment, python

import rot180
from benchmarks import table

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("changelog.d/*.md"), *ROOT.glob("docs/**/*.md")]
)
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
README_TEST_COMMAND = "pip install '.[test]' && pytest"


def _page(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _blocks(path: Path, language: str) -> list[str]:
    found = FENCE.findall(path.read_text(encoding="utf-8"))
    return [text for name, text in found if name == language]


def _python_blocks() -> Iterator[object]:
    for path in PAGES:
        for number, text in enumerate(_blocks(path, "python")):
            yield pytest.param(text, id=f"{_page(path)}-{number}")


def _module_names() -> list[str]:
    files = sorted((ROOT / "src" / "rot180").rglob("*.py"))
    parts = [path.relative_to(ROOT / "src").with_suffix("").parts for path in files]
    return [".".join(p for p in names if p != "__init__") for names in parts]


def _assert_examples_run(test: doctest.DocTest) -> None:
    lines: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    failed, _ = runner.run(test, out=lines.append, clear_globs=False)
    assert failed == 0, "".join(lines)


@pytest.mark.parametrize("text", list(_python_blocks()))
def test_examples_in_the_pages_run(text: str) -> None:
    if ">>>" in text:
        test = doctest.DocTestParser().get_doctest(text, {}, "page", None, None)
        _assert_examples_run(test)
    else:
        exec(compile(text, "page", "exec"), {})


@pytest.mark.parametrize("name", _module_names())
def test_examples_in_docstrings_run(name: str) -> None:
    if ".adapters._" in name:
        framework = name.rpartition("._")[2]
        pytest.importorskip(framework, reason=f"the adapter of {framework} needs it")
    module = importlib.import_module(name)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, name):
        _assert_examples_run(test)


@pytest.mark.parametrize("path", PAGES, ids=_page)
def test_links_lead_somewhere(path: Path) -> None:
    targets = LINK.findall(path.read_text(encoding="utf-8"))
    local = [t.partition("#")[0] for t in targets if "://" not in t]
    assert [t for t in local if not (path.parent / t).exists()] == []


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "index.md").read_text(encoding="utf-8")
    pages = {path.name for path in folder.glob("0*.md")}
    assert pages == set(LINK.findall(index))


def test_continuous_integration_runs_the_readme_command() -> None:
    assert f"{README_TEST_COMMAND}\n" in _blocks(ROOT / "README.md", "bash")
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert README_TEST_COMMAND in script
    assert 'PYTHONDEVMODE=1 PYTHONWARNINGS=error command pytest "$@"' in script


def test_commands_of_the_readme_exist() -> None:
    from rot180.cli import main

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"rot180 ([a-z]+)$", text, re.MULTILINE))
    assert named
    assert named <= set(main.commands)


@pytest.mark.parametrize(
    ("argument", "status", "said"),
    [
        ("--help", 0, "default: 0 1 2"),
        ("-1", 2, "'-1' is not an integer of at least 0"),
    ],
)
def test_an_example_says_what_it_takes(argument: str, status: int, said: str) -> None:
    done = subprocess.run(
        python(str(ROOT / "examples" / "lenet.py"), argument),
        capture_output=True,
        text=True,
        env=child_environment(),
    )
    assert done.returncode == status
    assert said in done.stdout + done.stderr


def test_the_table_of_the_readme_is_the_measured_one() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    measured = table.table() if table.has_results() else ""
    assert table.rewrite(readme, measured) == readme


def test_versions_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    version = project["project"]["version"]
    assert rot180.__version__ == version
    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text(
        encoding="utf-8"
    )


def _public(kind: object) -> list[str]:
    return [name for name in rot180.__all__ if kind(getattr(rot180, name))]


@pytest.mark.parametrize("name", rot180.__all__)
def test_public_names_are_documented(name: str) -> None:
    value = getattr(rot180, name)
    if isinstance(value, ModuleType) or callable(value):
        assert inspect.getdoc(value), f"rot180.{name} has no docstring"


@pytest.mark.parametrize("name", _public(inspect.isfunction))
def test_docstrings_name_every_parameter_and_the_result(name: str) -> None:
    function = getattr(rot180, name)
    text = inspect.getdoc(function) or ""
    parameters = inspect.signature(function).parameters
    if parameters:
        assert "Args:" in text
    if "as in `" not in text:
        assert [p for p in parameters if not re.search(rf"\b{p}\b", text)] == []
    if inspect.signature(function).return_annotation not in (None, "None"):
        assert re.search(r"\bReturns?\b", text)


TENSOR_PARAMETERS = {"x", "w", "dy"}


@pytest.mark.parametrize("name", _public(inspect.isfunction))
def test_docstrings_of_ops_state_shapes_dtypes_errors_and_source(name: str) -> None:
    function = getattr(rot180, name)
    if not TENSOR_PARAMETERS & set(inspect.signature(function).parameters):
        return
    text = inspect.getdoc(function) or ""
    assert "shape" in text or "`(n" in text
    assert "dtype" in text or "float" in text.lower()
    assert "Raises:" in text
    assert "Source:" in text


def _defined_in(path: Path) -> set[str]:
    """Return the names of functions and classes, and of methods as `Class.method`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    members = {
        f"{owner.name}.{node.name}"
        for owner in classes
        for node in owner.body
        if isinstance(node, ast.FunctionDef)
    }
    functions = {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
    return members | functions | {owner.name for owner in classes}


def test_the_architecture_page_names_what_exists() -> None:
    page = ROOT / "docs" / "explanation" / "architecture.md"
    named = re.findall(r"`([\w/]+\.py):([\w.]+)`", page.read_text(encoding="utf-8"))
    assert len(named) > 40
    sources = ROOT / "src" / "rot180"
    assert [
        f"{file}:{name}"
        for file, name in named
        if not (sources / file).exists() or name not in _defined_in(sources / file)
    ] == []
