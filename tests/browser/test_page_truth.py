"""What the page displays is so: its MathML, read back, gives the reference."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from explain_cases import Example, draw
from formula_reader import Lookup, Place, compute, place
from laws_of_explain import numbers_of
from markup_readers import Naming, from_mathml
from sweeps import parts

from rot180 import explain

CHUNKS, EACH = 20, 25

# Goes through all passes and steps; returns the equations as they are displayed.
EQUATIONS = """() => {
    const found = [];
    for (const tab of [...document.querySelectorAll("#passes button")]) {
        tab.click();
        const slider = document.getElementById("step");
        for (let i = 0; i <= slider.max; i++) {
            slider.value = i;
            slider.dispatchEvent(new Event("input"));
            const math = document.querySelector("#formula math");
            found.push(new XMLSerializer().serializeToString(math));
        }
    }
    return found;
}"""


@pytest.mark.parametrize("chunk", parts(CHUNKS))
def test_the_mathml_of_five_hundred_pages(
    browser: Any, tmp_path: Path, chunk: int
) -> None:
    rng = np.random.default_rng([501, chunk])
    page = browser.new_page()
    for number in range(EACH):
        example = draw(rng)
        found = explain.explain(
            values=example.given,
            count_from=int(rng.integers(2)),
            **example.parameters,
        )
        path = tmp_path / f"{number}.html"
        path.write_text(found.html(), encoding="utf-8")
        page.goto(path.as_uri())
        equations = page.evaluate(EQUATIONS)
        assert len(equations) == sum(len(part.equations) for part in found.passes)
        lookup = numbers_of(example, found)
        for shown in equations:
            assert_displays(shown, example, found, lookup)
    page.close()


def assert_displays(
    mathml: str, example: Example, found: explain.Explanation, lookup: Lookup
) -> None:
    """Raises AssertionError unless name, letters, numbers and value agree."""
    naming = Naming(found.names.compact, found.names.count_from)

    def took(of: Place, cell: Place) -> bool:
        return example.taken.get(of) == cell

    text = from_mathml(mathml, naming).replace("≈", "=≈")
    name, *sides = text.split("=")
    expected = lookup(place(name))
    assert len(sides) == 3, text
    for side in sides:
        value = float(compute(side.removeprefix("≈"), lookup, took))
        is_rounded = side.startswith("≈")
        right = pytest.approx(expected, rel=1e-4, abs=1e-4) if is_rounded else expected
        assert value == right, text
