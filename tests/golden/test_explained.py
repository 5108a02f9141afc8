"""What `rot180 explain` prints, as people read it, kept in files.

After a wanted change: ROT180_UPDATE_GOLDEN=1 pytest tests/golden, then read the diff.
"""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from rot180.cli import main

FOLDER = Path(__file__).parent / "explain"
COMMANDS = {
    "article.txt": "",
    "letters.txt": "--values letters --pass input_grad",
    "flip.txt": "--flip --pass weight_grad",
    "stride.txt": "--input 7x7 --kernel 3x3 --stride 2 --padding 1",
    "sides.txt": "--input 6 --kernel 3 --padding 0:2 --dilation 2 --pass input_grad",
    "channels.txt": "--channels 2x3 --bias --pass forward --cell 2,1,1",
    "from_zero.txt": "--pass forward --count-from 0",
    "transposed.txt": "--layer conv_transpose --stride 2 --output-padding 1",
    "max_pool.txt": "--pass pool --input 4x4 --kernel 3x3 --stride 1",
    "avg_pool.txt": "--layer avg_pool --padding 1 --no-count-include-pad",
    "relu.txt": "--pass relu --input 2x3",
    "network.txt": "--layer network",
    "chinese.txt": "--language zh --input 5x5 --kernel 3x3 --stride 2 --dilation 2 "
    "--padding 2",
    "steps.txt": "--pass input_grad --step",
    "markdown.md": "--markdown - --input 5x5 --kernel 3x3 --stride 2 --padding 1",
    "latex.tex": "--latex -",
    "latex_pool.tex": "--latex - --layer max_pool --stride 1 --input 3x3",
    "picture.svg": "--svg - --pass input_grad",
    "cell.svg": "--svg - --input 5x5 --kernel 3x3 --stride 2 --padding 1 "
    "--pass input_grad --cell 3,3",
}


@pytest.mark.parametrize("name", COMMANDS)
def test_it_prints(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name.endswith(".tex"):
        pytest.importorskip("sympy", reason="prints LaTeX")
    monkeypatch.setenv("COLUMNS", "88")
    result = CliRunner().invoke(main, f"explain {COMMANDS[name]}")
    assert result.exit_code == 0, result.output
    printed = "".join(f"{row.rstrip()}\n" for row in result.output.splitlines())
    file = FOLDER / name
    if os.environ.get("ROT180_UPDATE_GOLDEN"):
        file.write_text(printed, encoding="utf-8")
    assert printed == file.read_text(encoding="utf-8")
