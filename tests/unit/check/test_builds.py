"""What build servers read: JUnit's XML, and annotations on GitHub."""

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from unit.check.test_report import REPORTS, report, wrong_weights

from rot180.check import Report, Tally, to_github, to_junit

TEXT = """\
import numpy


def conv(x, w):
    return x


class Conv:
    def forward(self, x):
        return x

    def backward(self, dy):
        return dy
"""


def parsed(given: Report) -> ElementTree.Element:
    suite = ElementTree.fromstring(to_junit(given)).find("testsuite")
    assert suite is not None
    return suite


def states(given: Report) -> dict[str, list[str]]:
    tests = parsed(given).iter("testcase")
    return {test.attrib["name"]: [child.tag for child in test] for test in tests}


def test_junit_has_a_test_for_each_function() -> None:
    assert states(REPORTS["failing"]) == {
        "conv": ["failure"],
        "conv_backward": ["failure"],
        "max_pool": ["failure"],
        "relu": [],
        "relu_backward": ["skipped"],
        "judged in full": [],
    }
    suite = parsed(REPORTS["failing"])
    counts = [suite.get(name) for name in ("tests", "failures", "errors", "skipped")]
    assert counts == ["6", "3", "0", "1"]
    failure = suite.find("testcase[@name='conv_backward']/failure")
    assert failure is not None
    assert failure.get("message") == "conv_backward: dw is wrong (14 configurations)"
    assert "comes out rotated" in str(failure.text)


@pytest.mark.parametrize(
    "given",
    [
        REPORTS["could_not_run"],
        replace(REPORTS["passing"], incomplete=("conv: db was not judged: None",)),
    ],
)
def test_junit_is_red_where_something_was_not_judged(given: Report) -> None:
    assert given.status == 2
    assert states(given)["judged in full"] == ["error"]
    assert parsed(given).get("errors") == "1"


@pytest.mark.parametrize("strict", [False, True])
def test_junit_counts_accepted_nonsense_only_if_strict(strict: bool) -> None:
    given = replace(REPORTS["lenient"], strict=strict)
    assert states(given)["conv"] == ["failure"] * strict


def test_junit_is_xml_whatever_was_raised() -> None:
    found = wrong_weights()
    message = "raised: <&\"'\x00\x1b[31m\ud800\uffff]]> \u4e2d"
    failure = replace(found.failure, reason="raised", message=message)
    tallies = {"conv_backward": Tally(1, 1)}
    given = report(replace(found, failure=failure), tallies=tallies)
    (child,) = parsed(given).iter("failure")
    assert "<&\"'??[31m??]]> \u4e2d" in " ".join(str(child.text).split())


@pytest.fixture
def subject(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Report:
    (tmp_path / "my_conv.py").write_text(TEXT)
    monkeypatch.chdir(tmp_path)
    return REPORTS["failing"]


def test_annotations_stand_at_the_function(subject: Report) -> None:
    lines = to_github(subject).splitlines()
    assert len(lines) == 3
    start = "::error file=my_conv.py,line=12,title=conv_backward%3A dw is wrong::"
    assert lines[0].startswith(start)
    assert "%0A  diagnosis:%0A    dw: comes out rotated by 180 degrees" in lines[0]
    assert lines[1].startswith("::error file=my_conv.py,line=4,title=conv%3A")


@pytest.mark.parametrize("spec", ["my_conv", "my_conv.py:Conv", "my_conv:Conv"])
def test_annotations_know_every_form_of_a_name(subject: Report, spec: str) -> None:
    line = to_github(replace(subject, subject=spec)).splitlines()[0]
    assert line.startswith("::error file=my_conv.py,line=12,")


@pytest.mark.parametrize("spec", ["torch", "SimpleNamespace", "gone.py", "no/name"])
def test_annotations_without_a_known_file_have_none(subject: Report, spec: str) -> None:
    line = to_github(replace(subject, subject=spec)).splitlines()[0]
    assert line.startswith("::error title=conv_backward%3A dw is wrong::")


def test_an_error_is_annotated_where_it_was_raised(subject: Report) -> None:
    found = wrong_weights()
    message = "conv_backward raised ValueError at my_conv.py:13 in backward: 9%\n::x::"
    failure = replace(found.failure, reason="raised", message=message)
    given = replace(subject, findings=(replace(found, failure=failure),))
    (line,) = to_github(given).splitlines()
    assert "file=my_conv.py,line=13," in line
    assert "9%25" in line


def test_a_right_run_is_a_notice_and_an_incomplete_one_an_error() -> None:
    assert to_github(REPORTS["passing"]) == (
        "::notice title=rot180 check::right: conv, relu; "
        "nothing wrong in 412 configurations (seed 0)"
    )
    text = to_github(REPORTS["could_not_run"])
    assert re.match("::error title=rot180 check::incomplete: nothing was judged", text)
    assert "::warning" in to_github(REPORTS["lenient"])
