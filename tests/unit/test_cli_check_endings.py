"""`rot180 check` ends with 1 only where the judged code is wrong."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from helpers import child_environment, python

from rot180 import check as checking
from rot180.cli import main

RIGHT = "import numpy as np\ndef relu(x):\n    return np.maximum(x, 0)\n"


@pytest.fixture
def subject(tmp_path: Path) -> str:
    path = tmp_path / "my_conv.py"
    path.write_text(RIGHT)
    return str(path)


pytestmark = pytest.mark.usefixtures("fixed_only")


def _check(*arguments: str) -> Result:
    return CliRunner().invoke(main, ("check", "--seconds", "60", *arguments))


@pytest.mark.parametrize("error", [ZeroDivisionError("oh"), MemoryError("oh")])
def test_a_fault_of_its_own_ends_with_2_and_asks_for_a_report(
    subject: str, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(checking, "check", broken)
    result = _check(subject)
    assert result.exit_code == 2
    *lines, last = result.stderr.splitlines()
    assert lines[0].startswith("Traceback")
    assert lines[-1] == f"{type(error).__name__}: oh"
    assert "fault of rot180" in last
    assert "report" in last


def test_ctrl_c_where_no_report_can_be_given_ends_with_2(
    subject: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(checking, "check", interrupted)
    result = _check(subject)
    assert (result.exit_code, result.stderr) == (2, "Error: interrupted\n")


@pytest.mark.skipif(os.name == "nt", reason="no such signal")
@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_while_the_subject_is_imported_ends_with_2(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    path = tmp_path / "slow.py"
    path.write_text(f"import time\nopen({str(begun)!r}, 'w')\ntime.sleep(60)\n")
    with subprocess.Popen(
        python("-c", "from rot180.cli import main; main()", "check", str(path)),
        stderr=subprocess.PIPE,
        text=True,
        env=child_environment(),
    ) as child:
        try:
            until = time.monotonic() + 30
            while not begun.exists() and time.monotonic() < until:
                time.sleep(0.02)
            child.send_signal(signal.SIGINT)
            _, errors = child.communicate(timeout=30)
        finally:
            child.kill()
    assert child.returncode == 2, errors
    assert "interrupted" in errors


@pytest.mark.parametrize("option", ["--json", "--markdown"])
def test_a_file_in_no_folder_is_a_usage_error_at_once(
    subject: str, tmp_path: Path, option: str
) -> None:
    result = _check(subject, option, str(tmp_path / "no" / "report"))
    assert result.exit_code == 2
    assert f"Invalid value for '{option}'" in result.stderr
    assert "does not exist" in result.stderr
    assert result.stdout == ""


def test_a_folder_inside_a_file_is_a_usage_error_at_once(subject: str) -> None:
    result = _check(subject, "--reproductions", f"{subject}/found")
    assert result.exit_code == 2
    assert "Invalid value for '--reproductions'" in result.stderr
    assert "is not a folder" in result.stderr


def test_what_may_not_be_written_is_a_usage_error_at_once(
    subject: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    for option in ("--json", "--markdown", "--reproductions"):
        result = _check(subject, option, str(tmp_path / "new"))
        assert result.exit_code == 2
        assert "is not writable" in result.stderr


@pytest.mark.parametrize("option", ["--json", "--markdown", "--reproductions"])
def test_a_report_that_cannot_be_written_is_printed_and_ends_with_2(
    subject: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    monkeypatch.setattr(checking, "write_reproductions", full)
    result = _check(subject, option, str(tmp_path / "new"))
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr
    assert "No space left" in result.stderr
    assert "nothing wrong in" in result.stdout
