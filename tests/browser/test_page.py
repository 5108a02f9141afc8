"""The page in a real browser, as a person uses it."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from explain_cases import values_of

from rot180 import explain
from rot180.cli import main

from .conftest import Visit

Save = Callable[..., str]


def numbers(page: Any, tensor: str) -> list[str]:
    """Returns what a tensor's cells show, in the list of all tensors."""
    return page.eval_on_selector_all(
        "#tensors figure",
        """(figures, name) => figures
            .filter((one) => one.querySelector("figcaption").textContent === name)
            .flatMap((one) => [...one.querySelectorAll("[data-id]")])
            .map((cell) => cell.value ?? cell.textContent)""",
        tensor,
    )


def expected(found: explain.Explanation, tensor: str) -> list[str]:
    values = values_of(found)[tensor].values()
    return [f"{value:g}".replace("-", "−").replace("inf", "∞") for value in values]


def cell(page: Any, label: str) -> Any:
    """Returns the cell of that name in the list of all tensors."""
    return page.locator(f'#tensors [aria-label^="{label},"]')


def classes(page: Any, role: str) -> set[str]:
    """Returns the names of the cells that are marked so, in the list of all tensors."""
    labels = page.eval_on_selector_all(
        f"#tensors .{role}", "(all) => all.map((one) => one.ariaLabel)"
    )
    return {label.partition(",")[0] for label in labels}


def until(page: Any, condition: str) -> None:
    """Waits for a condition; Playwright's own way evaluates, which the page forbids."""
    for _ in range(200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(25)
    pytest.fail(f"never: {condition}")


def type_into(page: Any, label: str, text: str) -> None:
    cell(page, label).fill(text)


# ------------------------------------------------------------------------- typing


def test_served_a_typed_value_changes_what_follows_from_it(
    visit: Visit, address: str
) -> None:
    page = visit.go(address)
    x = list(values_of(explain.explain())["X"].values())
    type_into(page, "X22", "7.5")
    until(page, "location.search.includes('7.5')")
    x[4] = 7.5
    found = explain.explain(input=(3, 3), values={"X": x})
    for tensor in ("O", "dF", "dX"):
        assert numbers(page, tensor) == expected(found, tensor)
    own = {url.partition("?")[0] for url in visit.requests}
    assert own <= {address, f"{address}api/explain"}


@pytest.mark.parametrize("layer", ["conv", "max_pool", "avg_pool", "relu", "network"])
def test_saved_a_typed_value_changes_what_follows_from_it(
    visit: Visit, saved: Save, layer: str
) -> None:
    page = visit.go(saved(layer=layer))
    plain = explain.explain(layer=layer)
    x = list(values_of(plain)["X"].values())
    for place, text in ((4, "9"), (0, "-3"), (8, "9")):
        type_into(
            page, plain.names.label(list(plain.tensors["X"].cells())[place]), text
        )
        x[place] = int(text)
    found = explain.explain(layer=layer, input=plain.setting.input, values={"X": x})
    for part in found.passes:
        assert numbers(page, part.out) == expected(found, part.out)
    assert [url for url in visit.requests if not url.startswith("file:")] == []


@pytest.mark.parametrize("text", ["abc", "", "1e99", "NaN", "Infinity", "1,2", "0x1"])
def test_what_is_no_number_is_refused_and_changes_nothing(
    visit: Visit, saved: Save, text: str
) -> None:
    page = visit.go(saved())
    before, x = numbers(page, "O"), numbers(page, "X")
    type_into(page, "X22", text)
    assert cell(page, "X22").get_attribute("aria-invalid") == "true"
    assert "X22" in page.text_content("#typing")
    assert numbers(page, "O") == before
    page.keyboard.press("Tab")
    assert numbers(page, "X") == x
    assert cell(page, "X22").get_attribute("aria-invalid") is None
    assert page.text_content("#typing") == ""


def test_what_is_wrong_with_a_number_is_said_where_it_is_typed(
    visit: Visit, saved: Save
) -> None:
    page = visit.go(saved(input=(9, 9)))
    type_into(page, "X99", "abc")
    message, typed = page.locator("#typing"), cell(page, "X99")
    assert message.is_visible()
    assert 0 < typed.bounding_box()["y"] - message.bounding_box()["y"] < 700


def test_a_window_that_sees_nothing_is_minus_infinity(
    visit: Visit, saved: Save
) -> None:
    page = visit.go(saved(layer="max_pool", input=(2, 2), padding=2))
    assert numbers(page, "O")[0] == "−∞"
    assert re.sub(r"\s", "", page.text_content("#formula")) == "O11=−∞=−∞=−∞"
    outside = page.locator("#stage .outside").first
    assert outside.text_content() == "−∞"
    assert outside.get_attribute("aria-label") == "−∞: padding"
    type_into(page, "X11", "7")
    assert numbers(page, "O") == ["−∞"] * 4 + ["7"] + ["−∞"] * 4


def test_new_numbers(visit: Visit, saved: Save) -> None:
    page = visit.go(saved())
    before = numbers(page, "X")
    page.click("#random")
    assert numbers(page, "X") != before
    x = [int(text.replace("−", "-")) for text in numbers(page, "X")]
    w = [int(text.replace("−", "-")) for text in numbers(page, "F")]
    found = explain.explain(input=(3, 3), kernel=(2, 2), values={"X": x, "F": w})
    assert numbers(page, "O") == expected(found, "O")


# ------------------------------------------------------------------- the controls

# By layer and control: what is done to it, and what the command line then says.
CONTROLS = {
    "conv": [
        ("set-input-0", "6", "--input 6x3"),
        ("set-kernel-1", "3", "--kernel 2x3"),
        ("set-stride-0", "2", "--stride 2,1"),
        ("set-padding-0-1", "1", "--padding 0:1,0"),
        ("set-padding-word", "same", "--padding same"),
        ("set-dilation-1", "2", "--dilation 1,2"),
        ("set-channels-0", "2", "--channels 2x1"),
        ("set-images", "2", "--images 2"),
        ("set-bias", "on", "--bias"),
        ("set-flip", "on", "--flip"),
        ("set-layout", "channels_last", "--layout channels_last"),
        ("set-dimensions", "1", "--input 3"),
    ],
    "conv_transpose": [("set-stride-0", "2", "--stride 2,1")],
    "max_pool": [
        ("set-stride-0", "1", "--stride 1,2"),
        ("set-ceil_mode", "on", "--ceil-mode"),
    ],
    "avg_pool": [("set-count_include_pad", "off", "--no-count-include-pad")],
    "relu": [
        ("set-input-1", "5", "--input 3x5"),
        ("set-channels", "2", "--channels 2x2"),
    ],
    "network": [("set-layers", "conv:3x3,relu", "--layers conv:3x3,relu")],
}
EVERY_CONTROL = [(layer, *rest) for layer, all_ in CONTROLS.items() for rest in all_]


@pytest.mark.parametrize(("layer", "control", "value", "command"), EVERY_CONTROL)
def test_every_control_changes_what_is_explained(
    visit: Visit, address: str, layer: str, control: str, value: str, command: str
) -> None:
    page = visit.go(address)
    if layer != "conv":
        page.select_option("#set-layer", layer)
        until(page, f"location.search.includes('layer={layer}')")
    element = page.locator(f"#{control}")
    if element.evaluate("(one) => one.tagName") == "SELECT":
        element.select_option(value)
    elif value in ("on", "off"):
        element.set_checked(value == "on")
    else:
        element.fill(value)
        element.dispatch_event("change")
    until(page, f"document.getElementById('command').textContent.includes('{command}')")
    assert page.text_content("#problem") == ""
    assert_shows(page, explained_by(page.text_content("#command")))


def explained_by(command: str) -> explain.Explanation:
    """Returns what a command line explains."""
    told = CliRunner().invoke(
        main, [*shlex.split(command.removeprefix("rot180 ")), "--json", "-"]
    )
    words = json.loads(told.stdout)["words"]
    return explain.explain(**words)


def assert_shows(page: Any, found: explain.Explanation) -> None:
    """Raises AssertionError unless every tensor's numbers are on the page."""
    told = explain.document(found)["tensors"]
    captions = {tensor["name"]: tensor["captions"] for tensor in told}
    for name in found.tensors:
        shown = page.eval_on_selector_all(
            "#tensors figure",
            """(figures, captions) => figures
                .filter((one) =>
                    captions.includes(one.querySelector("figcaption").textContent))
                .flatMap((one) => [...one.querySelectorAll("[data-id]")])
                .sort((one, other) => one.dataset.id - other.dataset.id)
                .map((cell) => cell.value ?? cell.textContent)""",
            captions[name],
        )
        assert shown == expected(found, name)


def test_groups(visit: Visit, address: str) -> None:
    page = visit.go(f"{address}?channels=2x2")
    page.fill("#set-groups", "2")
    page.dispatch_event("#set-groups", "change")
    until(page, "document.getElementById('command').textContent.includes('groups 2')")
    assert_shows(page, explain.explain(channels=(2, 2), groups=2))


def test_the_controls_are_all_tried() -> None:
    tried = {control for _, control, _, _ in EVERY_CONTROL}
    tried |= {"set-layer", "set-groups", "set-output_padding"}  # tests of their own
    for known in explain.PARAMETERS:
        if len(known.choices) != 1:
            assert any(c.startswith(f"set-{known.name}") for c in tried), known.name


def test_output_padding_follows_the_stride(visit: Visit, address: str) -> None:
    page = visit.go(f"{address}?layer=conv_transpose&stride=2")
    page.fill("#set-output_padding-0", "1")
    page.dispatch_event("#set-output_padding-0", "change")
    until(
        page, "document.getElementById('command').textContent.includes('padding 1,0')"
    )
    assert len(numbers(page, "O")) == 20


def test_a_parameter_that_does_not_fit_is_said_and_nothing_is_lost(
    visit: Visit, address: str
) -> None:
    page = visit.go(address)
    before = numbers(page, "dX")
    page.fill("#set-kernel-0", "9")
    page.dispatch_event("#set-kernel-0", "change")
    until(page, "document.getElementById('problem').textContent !== ''")
    assert "window spans 9" in page.text_content("#problem")
    assert "What is shown is still rot180 explain" in page.text_content("#problem")
    assert numbers(page, "dX") == before


def test_typed_numbers_stay_where_they_still_fit(visit: Visit, address: str) -> None:
    page = visit.go(address)
    type_into(page, "X11", "77")
    until(page, "location.search.includes('77')")
    page.fill("#set-kernel-0", "1")
    page.dispatch_event("#set-kernel-0", "change")
    until(page, "location.search.includes('kernel=1x2')")
    assert numbers(page, "X")[0] == "77"


def test_counting_from_zero(visit: Visit, address: str) -> None:
    page = visit.go(address)
    page.select_option("#view-count", "0")
    until(page, "location.search.includes('count_from=0')")
    assert cell(page, "X[0,0]").count() == 1


def test_a_page_of_letters(visit: Visit, saved: Save) -> None:
    page = visit.go(saved(values="letters"))
    assert page.input_value("#view-show") == "letters"
    assert numbers(page, "dX")[:3] == ["dX11", "dX12", "dX13"]
    page.select_option("#view-show", "numbers")
    assert numbers(page, "dX") == expected(explain.explain(), "dX")


def test_a_page_that_starts_at_a_number(visit: Visit, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    line = f"explain --html {path} --pass input_grad --cell 2,3 --language zh --seed 4"
    assert CliRunner().invoke(main, line).exit_code == 0
    page = visit.go(path.as_uri())
    assert step(page) == "6"
    assert page.get_attribute("#pass-dX", "aria-selected") == "true"
    assert page.get_attribute("html", "lang") == "zh-Hans"
    assert numbers(page, "X") == expected(explain.explain(seed=4), "X")


def test_letters_in_the_place_of_numbers(visit: Visit, saved: Save) -> None:
    page = visit.go(saved())
    page.select_option("#view-show", "letters")
    assert numbers(page, "dX")[:3] == ["dX11", "dX12", "dX13"]
    assert page.locator("#stage .under").first.get_attribute("data-tag") == "×F11"


# ----------------------------------------------------------------------- the steps


def step(page: Any) -> str:
    return re.findall(r"\d+", page.text_content("#step-text"))[0]


def test_step_on_and_back(visit: Visit, saved: Save) -> None:
    page = visit.go(saved())
    page.click("#pass-dX")
    assert step(page) == "1"
    for button, at in (("next", "2"), ("last", "9"), ("next", "9"), ("back", "8"),
                       ("first", "1"), ("back", "1")):  # fmt: skip
        page.click(f"#go-{button}")
        assert step(page) == at
    page.locator("#step").fill("4")
    assert step(page) == "5"
    assert classes(page, "result") == {"dX22"}


def test_play_forwards_and_backwards(visit: Visit, saved: Save) -> None:
    page = visit.go(saved())
    page.click("#pass-dX")
    page.select_option("#speed", "300")
    page.click("#go-play")
    until(page, "document.getElementById('step').value === '8'")
    until(page, "document.getElementById('go-play').textContent === '▶'")
    page.click("#go-reverse")
    until(page, "document.getElementById('step').value < 7")
    page.click("#go-reverse")
    paused = step(page)
    page.wait_for_timeout(700)
    assert step(page) == paused


def test_the_rotated_filter_slides_over_the_padded_gradient(
    visit: Visit, saved: Save
) -> None:
    """S8: from the first corner overlap to the last; each step shows its products."""
    page = visit.go(saved())
    page.click("#pass-dX")
    assert page.text_content("#stage .signed figcaption") == "F rotated"
    seen = []
    for _ in range(9):
        under = page.eval_on_selector_all(
            "#stage .under", "(all) => all.map((one) => one.dataset.place)"
        )
        seen.append(under)
        page.click("#go-next")
    corners = [(i, j) for i in range(3) for j in range(3)]
    assert seen == [
        [f"{i + r},{j + s}" for r in range(2) for s in range(2)] for i, j in corners
    ]


def test_the_frame_lies_where_the_taps_are(visit: Visit, saved: Save) -> None:
    page = visit.go(saved(input=(5, 5), kernel=(3, 3), stride=2, dilation=2, padding=2))
    page.click("#pass-dX")
    for _ in range(7):
        page.click("#go-next")
    page.wait_for_timeout(400)
    frame = page.locator("#stage .frame").bounding_box()
    boxes = [box.bounding_box() for box in page.locator("#stage .under").all()]
    left, top = min(b["x"] for b in boxes), min(b["y"] for b in boxes)
    right = max(b["x"] + b["width"] for b in boxes)
    assert abs(frame["x"] - left) < 3
    assert abs(frame["y"] - top) < 3
    assert abs(frame["x"] + frame["width"] - right) < 3


# --------------------------------------------------------------------- pointing at


def test_a_gradient_lights_what_it_is_made_of(visit: Visit, saved: Save) -> None:
    page = visit.go(saved())
    cell(page, "dX22").hover()
    assert classes(page, "first") == {"dO11", "dO12", "dO21", "dO22"}
    assert classes(page, "second") == {"F11", "F12", "F21", "F22"}
    assert page.locator("#formula .term").count() == 8  # in letters and in numbers


def test_a_filter_cell_lights_what_it_feeds(visit: Visit, saved: Save) -> None:
    page = visit.go(saved())
    cell(page, "F11").hover()
    outputs = {f"O{i}{j}" for i in (1, 2) for j in (1, 2)}
    gradients = {f"dX{i}{j}" for i in (1, 2) for j in (1, 2)}
    assert classes(page, "fed") == outputs | gradients
    assert "F11 feeds O11" in page.text_content("#feeds")


def test_a_term_lights_its_two_cells(visit: Visit, saved: Save) -> None:
    page = visit.go(saved())
    page.click("#pass-dX")
    for _ in range(4):
        page.click("#go-next")
    page.locator("#formula .term").nth(1).hover()
    lit = page.eval_on_selector_all(
        "#tensors .lit", "(all) => all.map((one) => one.ariaLabel.split(',')[0])"
    )
    assert set(lit) == {"dO12", "F21"}


def test_pointing_at_a_factor_lights_its_terms(visit: Visit, saved: Save) -> None:
    """The equation of the step stays; where the number stands in it is lit."""
    page = visit.go(saved())
    page.click("#pass-dX")
    page.locator("#step").fill("4")
    equation = page.text_content("#formula")
    for label, term in (("F12", "2"), ("dO22", "3")):
        cell(page, label).hover()
        assert page.text_content("#formula") == equation
        lit = page.eval_on_selector_all(
            "#formula .lit", "(all) => all.map((one) => one.dataset.term)"
        )
        assert lit == [term, term]  # in letters and in numbers
        assert classes(page, "pointed") == {label}
    page.mouse.move(0, 0)
    assert page.locator("#formula .lit").count() == 0


@pytest.mark.parametrize("layer", ["relu", "network"])
def test_what_is_no_sliding_has_a_picture_too(
    visit: Visit, saved: Save, layer: str
) -> None:
    page = visit.go(saved(layer=layer))
    for tab in page.locator("#passes button").all():
        tab.click()
        assert page.locator("#stage figure").count() >= 2


def test_the_maximum_that_was_taken_is_marked(visit: Visit, saved: Save) -> None:
    page = visit.go(
        saved(layer="max_pool", input=(4, 4), values={"X": list(range(16))})
    )
    cell(page, "dX22").hover()
    assert classes(page, "taken") == {"X22"}
    assert "[O11 ← X22] is 1 where O11 took X22" in page.text_content("#note")


def test_a_click_makes_a_number_the_step(visit: Visit, saved: Save) -> None:
    page = visit.go(saved())
    cell(page, "dF21").click()
    assert page.get_attribute("#pass-dF", "aria-selected") == "true"
    assert step(page) == "3"


# --------------------------------------------------------------------- the address


def test_the_address_brings_everything_back(visit: Visit, address: str) -> None:
    page = visit.go(f"{address}?input=5x5&kernel=3x3&stride=2&padding=1")
    type_into(page, "F22", "8")
    until(page, "location.search.includes('F=')")
    page.click("#pass-dX")
    page.locator("#step").fill("12")
    page.select_option("#view-theme", "dark")
    page.select_option("#view-show", "letters")
    page.select_option("#view-language", "zh")
    page.wait_for_timeout(500)
    url, gradient = page.url, page.text_content("#formula")
    page = visit.go("about:blank")
    page = visit.go(url)
    assert page.text_content("#formula") == gradient
    assert step(page) == "13"
    assert page.input_value("#view-language") == "zh"
    assert page.input_value("#view-show") == "letters"
    assert page.get_attribute("html", "data-theme") == "dark"
    page.wait_for_timeout(500)
    assert page.url == url


def test_the_address_of_a_saved_page_brings_everything_back(
    visit: Visit, saved: Save
) -> None:
    page = visit.go(saved(layer="max_pool", kernel=3, stride=1))
    type_into(page, "X11", "50")
    page.click("#pass-dX")
    page.locator("#step").fill("5")
    page.wait_for_timeout(500)
    url, shown = page.url, numbers(page, "dX")
    visit.go("about:blank")
    page = visit.go(url)
    assert numbers(page, "X")[0] == "50"
    assert numbers(page, "dX") == shown
    assert step(page) == "6"


@pytest.mark.parametrize(
    "part", ["pass=dZ", "language=__proto__", "show=x", "X=1,2", "bogus=1", "cell=Q"]
)
def test_a_saved_page_s_wrong_address_is_said(
    visit: Visit, saved: Save, part: str
) -> None:
    page = visit.go(f"{saved()}#{part}&theme=dark")
    assert part in page.text_content("#problem")
    assert page.get_attribute("html", "data-theme") == "dark"
    assert numbers(page, "X") == expected(explain.explain(), "X")


@pytest.mark.parametrize(
    "query", ["input=-1x3", "stride=0", "X=nan", "X=1,2", "bogus=1", "layer=hat"]
)
def test_a_wrong_address_is_said(visit: Visit, address: str, query: str) -> None:
    page = visit.go(f"{address}?{query}")
    assert page.text_content("body").startswith("explain: ")


# --------------------------------------------------------------------- the language


# What stands in words on the page, but for programs.
TEXTS = """[...document.querySelectorAll("main *, footer *")]
    .filter((one) => !one.closest("pre, code"))
    .flatMap((one) => [...one.childNodes].filter((node) => node.nodeType === 3))
    .map((node) => node.textContent)"""
NAMES = ("valid", "same", "lower", "full", "causal", "csm", "Forward", "And",
         "Backpropagation", "Convolutional", "Neural", "Network", "numpy",
         "savez")  # fmt: skip


def test_everything_is_there_in_both_languages(visit: Visit, address: str) -> None:
    page = visit.go(address)
    assert page.get_attribute("html", "lang") == "en"
    english = page.evaluate(TEXTS)
    page.select_option("#view-language", "zh")
    assert page.get_attribute("html", "lang") == "zh-Hans"
    chinese = page.evaluate(TEXTS)
    assert not re.search(r"[\u4e00-\u9fff]", " ".join(english))
    words = set(re.findall(r"[A-Za-z]{3,}", " ".join(chinese)))
    assert words <= {"ReLU", "NumPy", "PyTorch", "JAX", "rot", "FILE", *NAMES}


def test_a_chinese_browser_is_greeted_in_chinese(browser: Any, address: str) -> None:
    context = browser.new_context(locale="zh-CN")
    page = context.new_page()
    page.goto(address)
    assert page.text_content("h1") == "卷积的反向传播"
    context.close()


# --------------------------------------------------------------------- the keyboard


def focused(page: Any) -> str:
    return page.evaluate(
        "document.activeElement.ariaLabel ?? document.activeElement.id"
    )


def test_by_keyboard_alone(visit: Visit, saved: Save) -> None:
    page = visit.go(saved())
    for _ in range(60):
        page.keyboard.press("Tab")
        if focused(page).startswith("X11, type"):
            break
    assert focused(page).startswith("X11, type")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert focused(page).startswith("X22,")
    page.keyboard.type("6")
    page.keyboard.press("Tab")
    assert focused(page).startswith("F11,")
    assert numbers(page, "X")[4] == "6"
    for _ in range(4):
        page.keyboard.press("Tab")
    assert focused(page).startswith("dX11,")
    page.keyboard.press("ArrowDown")
    assert classes(page, "second") == {"F11", "F21"}
    page.keyboard.press("Enter")
    assert page.get_attribute("#pass-dX", "aria-selected") == "true"
    assert step(page) == "4"


def test_keys_of_the_page(visit: Visit, saved: Save) -> None:
    page = visit.go(saved())
    page.keyboard.press("3")
    assert page.get_attribute("#pass-dX", "aria-selected") == "true"
    page.keyboard.press("n")
    page.keyboard.press("n")
    page.keyboard.press("b")
    assert step(page) == "2"
    page.keyboard.press("p")
    assert page.text_content("#go-play") == "❚❚"
    page.keyboard.press("p")
    assert page.text_content("#go-play") == "▶"
    page.keyboard.press("l")
    assert page.get_attribute("html", "lang") == "zh-Hans"
    page.keyboard.press("c")
    assert page.get_attribute("html", "data-theme") == "light"


def test_the_focus_stays_where_it_is(visit: Visit, saved: Save) -> None:
    page = visit.go(saved())
    page.focus("#go-next")
    page.keyboard.press("l")
    assert page.evaluate("document.activeElement.id") == "go-next"
    page.focus("#step")
    page.keyboard.press("n")
    assert step(page) == "2"
    page.select_option("#view-language", "en")
    page.focus("#view-language")
    assert page.evaluate("document.activeElement.id") == "view-language"


def test_keys_can_be_switched_off(visit: Visit, saved: Save) -> None:
    page = visit.go(saved())
    page.uncheck("#shortcuts")
    for key in ("3", "n", "l", "c", "p"):
        page.keyboard.press(key)
    assert page.get_attribute("#pass-O", "aria-selected") == "true"
    assert step(page) == "1"
    assert page.get_attribute("html", "lang") == "en"
    page.check("#shortcuts")
    page.keyboard.press("n")
    assert step(page) == "2"


def test_tabs_move_with_the_arrows(visit: Visit, saved: Save) -> None:
    page = visit.go(saved())
    page.focus("#pass-O")
    page.keyboard.press("ArrowRight")
    assert page.get_attribute("#pass-dF", "aria-selected") == "true"
    assert page.evaluate("document.activeElement.id") == "pass-dF"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert page.get_attribute("#pass-dX", "aria-selected") == "true"


# ------------------------------------------------------------------------- the code


def test_the_code_holds_the_numbers_and_can_be_copied(
    visit: Visit, saved: Save
) -> None:
    page, values = visit.go(saved()), values_of(explain.explain())
    for name in ("NumPy", "PyTorch", "JAX", "rot180"):
        page.click(f"#frameworks >> text={name}")
        text = page.text_content("#program")
        assert "⟦" not in text
        assert str(list(values["X"].values())) in text
    page.click("#copy")
    until(page, "document.getElementById('copied').textContent !== ''")
    assert page.text_content("#copied") == "Copied"
    scope: dict[str, Any] = {"print": lambda *a, **k: None}
    exec(text, scope)
    assert scope["dX"].ravel().tolist() == list(values["dX"].values())


# ------------------------------------------------------- what must never contradict


def test_a_number_that_nobody_answers_changes_nothing(
    visit: Visit, address: str
) -> None:
    page = visit.go(address)
    before = {name: numbers(page, name) for name in ("X", "O", "dF")}
    page.route("**/api/**", lambda route: route.abort())
    type_into(page, "X11", "9")
    until(page, "document.getElementById('problem').textContent !== ''")
    page.keyboard.press("Tab")
    assert {name: numbers(page, name) for name in before} == before
    page.unroute("**/api/**")
    type_into(page, "X12", "7")
    until(page, "document.getElementById('problem').textContent === ''")
    assert numbers(page, "X")[:2] == [before["X"][0], "7"]
    visit.complaints.clear()  # the browser tells of the request that failed


def test_a_control_says_what_is_shown(visit: Visit, address: str) -> None:
    page = visit.go(address)
    page.fill("#set-kernel-0", "9")
    page.press("#set-kernel-0", "Enter")
    until(page, "document.getElementById('problem').textContent !== ''")
    assert page.input_value("#set-kernel-0") == "9"
    type_into(page, "X11", "9")
    until(page, "document.getElementById('problem').textContent === ''")
    assert page.input_value("#set-kernel-0") == "2"


def test_a_number_typed_before_the_answer_to_a_parameter(
    visit: Visit, address: str
) -> None:
    page = visit.go(address)
    page.evaluate(
        """() => {
            const control = document.getElementById("set-stride-0");
            control.value = "2";
            control.dispatchEvent(new Event("change", {bubbles: true}));
            const cell = document.querySelector('#tensors [aria-label^="X11,"]');
            cell.value = "8";
            cell.dispatchEvent(new Event("input", {bubbles: true}));
        }"""
    )
    until(page, "document.getElementById('command').textContent.includes('stride 2,1')")
    assert page.input_value("#set-stride-0") == "2"
    x = [8, *list(values_of(explain.explain())["X"].values())[1:]]
    assert_shows(page, explain.explain(input=(3, 3), stride=(2, 1), values={"X": x}))


def test_a_long_number_is_there_in_full_to_be_edited(visit: Visit, saved: Save) -> None:
    page = visit.go(saved(input=(3, 3), values={"X": [0.123456789, *range(8)]}))
    assert numbers(page, "X")[0] == "0.123457"
    cell(page, "X11").focus()
    assert cell(page, "X11").input_value() == "0.123456789"
    page.keyboard.press("Tab")
    assert numbers(page, "X")[0] == "0.123457"
    type_into(page, "X11", "123456789")
    assert "123456789" in page.text_content("#formula")


def test_another_address_of_a_saved_page_is_a_whole_state(
    visit: Visit, saved: Save
) -> None:
    page = visit.go(saved())
    type_into(page, "X11", "8")
    page.keyboard.press("Tab")
    until(page, "location.hash.includes('X=8')")
    page.evaluate("location.hash = '#pass=dF'")
    until(page, "document.querySelector('#pass-dF').ariaSelected === 'true'")
    assert numbers(page, "X") == expected(explain.explain(), "X")
    assert numbers(page, "dF") == expected(explain.explain(), "dF")


def test_letters_alone_where_letters_are_asked_for(visit: Visit, saved: Save) -> None:
    page = visit.go(saved(values="letters", channels=(2, 2)))
    assert not re.search(r"⋅ ?[\d(]", page.text_content("#formula"))
    assert "Type" not in page.text_content("#tensors-hint")
    assert page.text_content("#command").endswith("--values letters")
    for name in ("first", "last"):
        label = page.locator(f"#tensors input >> nth={0 if name == 'first' else -1}")
        assert label.evaluate("(one) => one.scrollWidth <= one.clientWidth + 1")


def test_new_numbers_have_a_seed(visit: Visit, address: str) -> None:
    page = visit.go(address)
    page.click("#random")
    until(page, "document.getElementById('command').textContent.includes('--seed')")
    seed = int(page.text_content("#command").rpartition(" ")[2])
    assert_shows(page, explain.explain(seed=seed))


def test_every_square_can_be_reached_by_keyboard(visit: Visit, saved: Save) -> None:
    page = visit.go(saved(layer="max_pool"))
    for key in ("1", "2"):
        page.keyboard.press(key)
        grids = page.locator("[role=grid]")
        reached = page.locator("[role=grid]:has([tabindex='0'])")
        assert reached.count() == grids.count() > 3


# -------------------------------------------------------------------- the looks of it


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 380])
@pytest.mark.parametrize("layer", ["conv", "network"])
def test_names_contrast_and_roles(
    visit: Visit, address: str, theme: str, width: int, layer: str
) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright",
        reason="looks for what keeps people out: pip install axe-playwright-python",
    )
    visit.page.set_viewport_size({"width": width, "height": 800})
    page = visit.go(f"{address}?layer={layer}&theme={theme}&pass=dX")
    found = axe.Axe().run(page)
    told = [
        f"{one['id']}: {one['nodes'][0]['html'][:120]}"
        for one in found.response["violations"]
    ]
    assert told == []


@pytest.mark.parametrize("width", [1440, 1280, 768, 380])
def test_nothing_sticks_out(visit: Visit, address: str, width: int) -> None:
    visit.page.set_viewport_size({"width": width, "height": 800})
    page = visit.go(f"{address}?input=7x7&kernel=3x3&stride=2&padding=1&pass=dX")
    room = page.evaluate("document.documentElement.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth") <= room


def test_reduced_motion_is_respected(visit: Visit, saved: Save) -> None:
    visit.page.emulate_media(reduced_motion="reduce")
    page = visit.go(saved())
    moving = (
        "getComputedStyle(document.querySelector('#stage .frame')).transitionProperty"
    )
    page.click("#go-next")
    page.wait_for_timeout(100)
    assert page.evaluate(moving) == "none"
    visit.page.emulate_media(reduced_motion="no-preference")
    assert page.evaluate(moving) == "transform"


def test_the_system_s_dark_colours(browser: Any, saved: Save) -> None:
    shades = {}
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme)
        page = context.new_page()
        page.goto(saved())
        ground = "getComputedStyle(document.body).backgroundColor"
        shades[scheme] = sum(map(int, re.findall(r"\d+", page.evaluate(ground))[:3]))
        context.close()
    assert shades["dark"] < 120 < 600 < shades["light"]


# --------------------------------------------------------------------------- safety


def test_the_page_may_run_nothing_but_itself(visit: Visit, saved: Save) -> None:
    page = visit.go(saved())
    policy = page.get_attribute('meta[http-equiv="Content-Security-Policy"]', "content")
    assert "default-src 'none'" in policy
    assert "connect-src 'none'" in policy
    assert "unsafe" not in policy


def test_the_saved_page_needs_nothing_else(visit: Visit, saved: Save) -> None:
    url = saved()
    page = visit.go(url)
    page.click("#pass-dX")
    assert visit.requests == [url]
