"""The commands say what is amiss with their surroundings, without a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from rot180.cli import main
from rot180.runtime import _cpu

ROT180 = [sys.executable, "-c", "from rot180.cli import main; main()"]


def run(
    *arguments: str, stdout: object = subprocess.PIPE, **environment: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*ROT180, *arguments],
        stdout=stdout,  # type: ignore[call-overload]
        stderr=subprocess.PIPE,
        text=True,
        timeout=30,
        env=os.environ | environment,
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full")
@pytest.mark.parametrize("command", ["info", "explain", "--help"])
def test_a_full_disk_is_a_message(command: str) -> None:
    with open("/dev/full", "w") as full:
        ended = run(command, stdout=full)
    assert (ended.returncode, "Traceback" in ended.stderr) == (2, False)
    assert ended.stderr.startswith("Error: ")
    assert "space" in ended.stderr


@pytest.mark.parametrize("columns", ["0", "1", "10", "100000000"])
def test_explain_prints_at_any_width(columns: str) -> None:
    result = CliRunner(env={"COLUMNS": columns}).invoke(main, ["explain"])
    assert result.exit_code == 0, result.output
    assert max(map(len, result.output.splitlines())) <= 1000


def test_info_answers_without_llvmlite(tmp_path: Path) -> None:
    (tmp_path / "llvmlite").mkdir()
    text = "raise ImportError('no llvmlite here')\n"
    (tmp_path / "llvmlite/__init__.py").write_text(text)
    ended = run("info", PYTHONPATH=str(tmp_path))
    assert ended.returncode == 0, ended.stderr
    assert "nothing is compiled: no llvmlite here" in ended.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "--out", ""),
        ("check", "rot180", "--json", ""),
        ("check", "rot180", "--reproductions", ""),
        ("explain", "--html", ""),
    ],
    ids=" ".join,
)
def test_an_empty_path_is_refused(arguments: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, list(arguments))
    assert result.exit_code == 2
    assert "it names no f" in result.output


def test_a_processor_that_llvm_does_not_know_is_taken_as_the_least() -> None:
    class Unknowing:
        def get_host_cpu_features(self) -> dict[str, bool]:
            raise RuntimeError("failed to get host cpu features")

    assert _cpu._host(Unknowing()) == ("generic", {})
