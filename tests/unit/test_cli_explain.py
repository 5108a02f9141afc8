"""`rot180 explain` on the command line, as a person uses and misuses it."""

import json
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result
from explain_cases import values_of
from helpers import child_environment, python

from rot180 import explain
from rot180.cli import main

COMMAND = python("-u", "-c", "from rot180.cli import main; main(prog_name='rot180')")


def _run(line: str, **more: Any) -> Result:
    return CliRunner(env={"COLUMNS": "100"}).invoke(main, f"explain {line}", **more)


def test_without_options_it_walks_through_the_article_s_example() -> None:
    printed = _run("").output
    order = [
        "forward: O", "O22 = X22*F11", "backward: dF", "dF22 = X22*dO11",
        "backward: dX", "F rotated", "dX33 = dO22*F22",
        f"dX33 = {values_of(explain.explain())['dX'][0, 0, 2, 2]}\n",
    ]  # fmt: skip
    places = [printed.index(text) for text in order]
    assert places == sorted(places)


def test_a_bare_install_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("sympy", "starlette", "uvicorn"):
        monkeypatch.setitem(sys.modules, package, None)
    assert _run("").exit_code == 0
    assert _run("--html - --input 4x4").output.startswith("<!doctype html>")
    for option in ("--latex -", "--prove", "--serve"):
        result = _run(option)
        assert result.exit_code == 1
        assert "is not installed\n  Run: pip install 'rot180[explain]'" in result.stderr


def test_nothing_is_compiled_or_run(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "explain", "--layer", "network"],
        env=child_environment(ROT180_CACHE_DIR=str(tmp_path), ROT180_COMPILE="1"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.rglob("*")) == []


def test_a_terminal_without_chinese_letters_gets_escapes() -> None:
    done = subprocess.run(
        [*COMMAND, "explain", "--language", "zh", "--pass", "forward"],
        env=child_environment(PYTHONIOENCODING="ascii", PYTHONUTF8="0"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert r"\u524d" in done.stdout
    assert "O22 = X22*F11" in done.stdout


BAD = [
    ("--input 0x3", "'--input': input is '0x3', out of range"),
    ("--input -3x3", "out of range"),
    ("--input nanxnan", "which cannot be read\n  Write it like 5x5."),
    ("--input 99999x99999", "out of range"),
    ("--kernel 5x5", "the window spans 5"),
    ("--kernel 2x2x2", "kernel is '2x2x2', 3 numbers for 2"),
    ("--stride two", "'--stride': stride is 'two', which cannot be read"),
    ("--padding outer", "or one of valid, same"),
    ("--pass sideways", "'sideways' is not one of"),
    ("--pass bias_grad", "has no pass bias_grad\n  Use one of forward, weight_grad"),
    ("--layer relu --flip", "layer relu has no flip"),
    ("--layer rnn", "'rnn' is not one of 'conv'"),
    ("--cell 9,9", "there is no number 9,9; there are O11 to O22, dF11 to dF22"),
    ("--cell 0,0", "there is no number 0,0"),
    ("--cell one", "'one' is not numbers with commas between"),
    ("--cell 1", "there is no number 1"),
    ("--values nowhere.npy", "nowhere.npy cannot be read"),
    ("--seed -1", "'--seed': -1 is not in the range"),
    ("--count-from 2", "2 is not in the range"),
    ("--language fr", "'fr' is not one of 'en', 'zh'"),
    ("--port 99999", "'--port': 99999 is not in the range"),
    ("--html /nowhere/page.html", "the folder '/nowhere' does not exist"),
    ("--svg - --json -", "--svg and --json cannot both print"),
    ("--html same --svg same", "--html and --svg cannot both write same"),
    ("--json - --pass forward", "--json holds all passes; leave out --pass"),
    ("--prove --pass forward", "--prove needs a pass that gives a gradient"),
    ("--input 32x32 --kernel 16x16", "products in all passes, at most 20,000"),
    ("--svg - --input 20x20", "at most 100 are drawn"),
    ("--colour", "No such option"),
]


@pytest.mark.parametrize(("line", "message"), BAD, ids=lambda text: text[:24])
def test_mistakes_end_with_a_message(line: str, message: str) -> None:
    result = _run(line)
    assert result.exit_code in (1, 2)
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_one_number() -> None:
    printed = _run("--pass input_grad --cell 2,3").output
    found = explain.explain()
    line = explain.line(found.passes[2].equations[5], found)
    assert line.startswith("dX23 = dO12*F22 + dO22*F12 = ")
    assert f"{line}\n" in printed
    assert "dX22 =" not in printed


def test_one_number_of_every_pass_that_has_it() -> None:
    printed = _run("--cell 3,3").output
    assert "dX33 = " in printed
    assert "O33" not in printed


def test_a_file_s_numbers(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(20).reshape(4, 5))
    printed = _run(f"--values {tmp_path / 'x.npy'} --pass forward").output
    assert " 0  1  2  3  4" in printed
    assert "O34 = " in printed


def test_files_are_written(tmp_path: Path) -> None:
    names = {"html": "page.html", "svg": "a.svg", "markdown": "a.md", "json": "a.json"}
    line = " ".join(f"--{kind} {tmp_path / name}" for kind, name in names.items())
    result = _run(line)
    assert result.exit_code == 0
    assert result.stdout == ""
    assert result.stderr.count("wrote ") == 4
    texts = {kind: (tmp_path / name).read_text("utf-8") for kind, name in names.items()}
    assert texts["html"].startswith("<!doctype html>")
    assert texts["svg"].startswith("<svg ")
    assert texts["markdown"].startswith("# Convolution\n")
    assert json.loads(texts["json"])["format"] == 1


def test_the_command_that_is_told_explains_the_same() -> None:
    line = "--input 6x5 --kernel 3x2 --stride 2,1 --padding 0:1,2 --flip --channels 2x1"
    told = json.loads(_run(f"{line} --json -").output)
    assert told["command"] == f"rot180 explain {line}".replace(
        "--flip --channels 2x1", "--channels 2x1 --flip"
    )
    for more in ("--seed 3", "--count-from 0", "--values letters", "--layers relu"):
        told = json.loads(
            _run(f"{'' if 'layers' in more else line} {more} --json -").output
        )
        again = told["command"].removeprefix("rot180 explain ")
        assert more in again
        assert json.loads(_run(f"{again} --json -").output) == told


def test_proofs() -> None:
    pytest.importorskip("sympy", reason="differentiates the error")
    result = _run("--prove --stride 2 --input 5x5")
    assert result.exit_code == 0
    assert result.output == (
        "dF: 4 of 4 are SymPy's derivative of E\n"
        "dX: 25 of 25 are SymPy's derivative of E\n"
    )


def test_a_proof_that_fails_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = explain.Proof("dF", {"dF11": True, "dF12": False})
    monkeypatch.setattr(explain, "prove", lambda found, passes: (wrong,))
    result = _run("--prove")
    assert result.exit_code == 1
    assert "not the derivative of E: dF12" in result.stderr


# ------------------------------------------------------------------ step by step


def test_steps_without_a_terminal_are_all_printed() -> None:
    printed = _run("--pass input_grad --step").output
    assert re.findall(r"^\[(\d)/9\]$", printed, re.MULTILINE) == list("123456789")


def test_steps_wait_for_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = iter(["\r", "x", "n", "b", "b", "B", " ", "Q"])
    seen: list[str] = []
    monkeypatch.setattr(click, "getchar", lambda: next(keys))
    monkeypatch.setattr("rot180.cli._explain._waits", lambda console: True)
    printed = _run("--pass forward --step").output
    seen = re.findall(r"^\[(\d)/4\]$", printed, re.MULTILINE)
    assert seen == ["1", "2", "3", "2", "1", "1", "2"]
    assert "Enter goes on" in printed


def test_ctrl_c_ends_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(click, "getchar", interrupted)
    monkeypatch.setattr("rot180.cli._explain._waits", lambda console: True)
    result = _run("--pass forward --step")
    assert result.exit_code == 0
    assert "Traceback" not in result.output


def test_steps_are_for_the_terminal_alone(tmp_path: Path) -> None:
    for option in (f"--svg {tmp_path / 'a.svg'}", "--prove", "--serve"):
        result = _run(f"--step {option}")
        assert result.exit_code == 2
        assert "--step goes through the numbers on the terminal alone" in result.stderr
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------ serving


@pytest.mark.skipif(sys.platform == "win32", reason="interrupts with SIGINT")
def test_serving_until_interrupted() -> None:
    pytest.importorskip("uvicorn", reason="serves the page")
    process = subprocess.Popen(
        [*COMMAND, "explain", "--serve", "--port", "0", "--input", "5x5", "--language",
         "zh"],
        env=child_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        address = process.stdout.readline().strip()
        pattern = r"http://127\.0\.0\.1:\d+/\?input=5x5&language=zh"
        assert re.fullmatch(pattern, address)
        with urllib.request.urlopen(address, timeout=10) as answer:
            assert b"rot180 explain" in answer.read()
        assert "Ctrl-C ends it" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
        assert process.returncode == 0, err
        assert "Traceback" not in err
    finally:
        process.kill()
        process.communicate()


def test_a_port_that_is_taken_is_said() -> None:
    pytest.importorskip("uvicorn", reason="serves the page")
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = _run(f"--serve --port {taken.getsockname()[1]}")
    assert result.exit_code == 1
    assert "is taken\n  Pass another, or --port 0 for any." in result.stderr


def test_help_teaches() -> None:
    text = _run("--help").output
    for known in explain.PARAMETERS:
        if len(known.choices) != 1:
            assert f"--{known.name.replace('_', '-')}" in text
    for option in ("pass", "cell", "values", "step", "prove", "serve", "html", "svg"):
        assert f"--{option}" in text
    assert "rot180 explain --input 5x5 --kernel 3x3 --stride 2 --padding 1" in text
