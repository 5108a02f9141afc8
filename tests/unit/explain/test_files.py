"""Pictures, pages and a notebook's display."""

import re
from contextlib import suppress
from xml.etree import ElementTree

import pytest
from explain_cases import values_of

from rot180 import explain
from rot180.errors import ArgumentError

SVG = "{http://www.w3.org/2000/svg}"
ARTICLE = explain.explain()


def _texts(picture: str) -> list[str]:
    root = ElementTree.fromstring(picture)
    return [node.text or "" for node in root.iter(f"{SVG}text")]


def test_a_picture_shows_every_step() -> None:
    picture = explain.svg(ARTICLE, ARTICLE.passes[2:])
    texts = _texts(picture)
    values = values_of(ARTICLE)["dX"]
    for row in range(3):
        label = f"dX{row + 1}{row + 1}"
        assert f"{label} = {values[0, 0, row, row]}" in texts
    assert "F rotated" in texts
    assert picture.count('class="frame"') == 9
    root = ElementTree.fromstring(picture)
    assert root.find(f"{SVG}title").text == "backward: dX, the gradient of the input"


def test_everything_is_inside_the_picture() -> None:
    for found in (ARTICLE, explain.explain(layer="network"),
                  explain.explain(channels=(2, 2), images=2)):  # fmt: skip
        root = ElementTree.fromstring(found.svg())
        width, height = float(root.get("width")), float(root.get("height"))
        for node in root.iter(f"{SVG}rect"):
            right = float(node.get("x", 0)) + float(node.get("width"))
            low = float(node.get("y", 0)) + float(node.get("height"))
            assert right <= width
            assert low <= height


def test_too_many_steps_are_refused_for_a_picture() -> None:
    found = explain.explain(input=(12, 12))
    with pytest.raises(ArgumentError, match=r"O takes 121 steps, at most 100"):
        found.svg()
    part = found.passes[2]
    assert "dX(1,12)" in explain.svg(found, [], [(part, part.equations[11].cell)])


def test_markup_in_names_is_escaped() -> None:
    assert "<script" not in re.sub(r"<script[^>]*>", "", ARTICLE.html(), count=2)


@pytest.mark.parametrize(
    "parameters",
    [
        {"input": (16, 16), "kernel": (5, 5), "padding": 2},
        {"input": (8, 8), "kernel": (3, 3), "padding": 1, "channels": (3, 3)},
        {"layer": "max_pool", "input": (20, 20), "kernel": (5, 5), "stride": 1},
        {"layer": "network", "input": (14, 14), "kernel": (3, 3)},
    ],
)
def test_a_page_is_never_larger_than_it_may_be(parameters: dict[str, object]) -> None:
    found = explain.explain(**parameters)
    size = 0
    with suppress(ArgumentError):
        size = len(found.html().encode())
    assert size <= 500_000
    if size == 0:
        with pytest.raises(ArgumentError, match="at most 500,000 are written"):
            found.html()


def test_the_article_s_page_is_small() -> None:
    assert len(ARTICLE.html().encode()) < 100_000


def test_a_notebook_displays_it() -> None:
    bundle = ARTICLE._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/markdown", "image/svg+xml", "text/html"}
    assert bundle["text/html"].startswith('<iframe sandbox="allow-scripts"')
    assert "&lt;!doctype html&gt;" in bundle["text/html"]
    large = explain.explain(input=(12, 12), kernel=(7, 7), channels=(1, 1))
    assert "image/svg+xml" not in large._repr_mimebundle_()


def test_text_markdown_and_latex_of_everything() -> None:
    assert ARTICLE.text().count("backward: ") == 2
    assert ARTICLE.text("zh").count("反向传播：") == 2
    assert ARTICLE.markdown().count("```text") == 11
    pytest.importorskip("sympy", reason="prints LaTeX")
    assert ARTICLE.latex().count(r"\begin{align*}") == 3


def test_powers_of_ten_are_written_out_in_latex() -> None:
    pytest.importorskip("sympy", reason="prints LaTeX")
    numbers = {"X": [1.5e-7], "F": [2e8], "dO": [1]}
    found = explain.explain(input=(1, 1), kernel=1, values=numbers)
    assert r"1.5 \cdot 10^{-7} \cdot 200000000 \\" in found.latex()
