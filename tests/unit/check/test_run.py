"""A run from beginning to end: what is judged, what is reported, what it convicts."""

import json
import re
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from helpers import child_environment, python
from unit.check.judged import stop_at_first
from unit.check.subjects import write

import rot180
from benchmarks.mutants import MUTANTS, Mutant, correct_columns, correct_taps
from rot180.check import Report, _run, check
from rot180.check.report import _findings
from rot180.errors import ArgumentError, DataError

T = correct_taps
CONV: dict[str, Callable[..., Any]] = {
    "conv": T.conv,
    "conv_input_grad": T.conv_input_grad,
}


def _check(functions: dict[str, Callable[..., Any]], **options: Any) -> Report:
    return check(SimpleNamespace(**functions), **{"seconds": 0.4} | options)


def _enough(done: int, planned: int | None, seconds: float, failed: int) -> None:
    if done == 200:
        raise KeyboardInterrupt


# Ends by count: a second is not as long on every machine.
ENOUGH: dict[str, Any] = {"seconds": 300, "progress": _enough}


def _raising(error: BaseException) -> Callable[..., Any]:
    def function(*arrays: Any, **options: Any) -> Any:
        raise error

    return function


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little time for making configurations smaller."""
    monkeypatch.setattr(_run, "SHRINKING", 0.3)
    monkeypatch.setattr(_findings, "SHRINKING", 0.3)


# --- what is right passes, what is wrong does not ---


@pytest.mark.parametrize("seed", range(20))
def test_correct_code_is_never_convicted(seed: int) -> None:
    base = (correct_taps, correct_columns)[seed % 2]
    report = check(base, seed=seed, seconds=0.3)
    assert report.findings == ()


def test_rot180_is_not_convicted() -> None:
    report = check(rot180, seconds=1.5)  # too few seconds for all of it
    assert report.findings == ()
    assert report.status in (0, 2)
    assert set(report.tallies) >= {"conv", "conv_backward", "relu_backward"}


@cache
def _report_on(mutant: Mutant) -> Report:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_run, "SHRINKING", 0.3)
        patch.setattr(_findings, "_TRIES", 40)
        seconds = 60 if mutant.lenient else 8
        if mutant.lenient:
            patch.setattr(_run._Run, "_judge_random", lambda run, rest: None)
        # Memory that was never written is filled with NaN in a process of its own.
        spec = f"benchmarks.mutants:{mutant.name}"
        return check(
            spec if mutant.kind == 10 else mutant.subject,
            seconds=seconds,
            strict=mutant.lenient,
            diagnosis=False,
            progress=stop_at_first,
        )


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_is_convicted_of_what_it_gets_wrong(mutant: Mutant) -> None:
    report = _report_on(mutant)
    assert report.status == 1
    found = report.lenient if mutant.lenient else report.wrong
    assert {f.failure.function for f in found} <= set(mutant.functions)


RUNNER = """
import json, sys
import numpy as np
from benchmarks import mutants

allocate, ended = (np.empty, np.empty_like), []
for name, script in json.load(sys.stdin):
    np.empty, np.empty_like = allocate
    try:
        exec(compile(script, name, "exec"), {"__name__": name})
        ended.append("passed")
    except AssertionError:
        ended.append("failed")
print(json.dumps(ended), file=sys.stderr)
"""
# Where the code was given as an object, the script has a place for it.
PLACE = re.compile(r"^raise SystemExit\(.*\)$", re.MULTILINE)


def _ended(scripts: list[tuple[str, str]]) -> list[str]:
    """Runs scripts, each with the subject of that name, in a process of its own."""
    given = [
        (name, PLACE.sub(f"subject = mutants.{name}", text)) for name, text in scripts
    ]
    lines = [(n, "from benchmarks import mutants\n" + text) for n, text in given]
    done = subprocess.run(
        python("-c", RUNNER),
        input=json.dumps(lines),
        text=True,
        capture_output=True,
        env=child_environment(),
        timeout=100,
        check=True,
    )
    return list(json.loads(done.stderr.splitlines()[-1]))


GROUPS = [MUTANTS[at : at + 9] for at in range(0, len(MUTANTS), 9)]


@pytest.mark.parametrize("group", GROUPS, ids=lambda g: f"{g[0].name}-{g[-1].name}")
def test_reproductions_fail_by_themselves_until_the_code_is_mended(
    group: tuple[Mutant, ...],
) -> None:
    scripts = [
        (mutant.name, finding.reproduction)
        for mutant in group
        for finding in _report_on(mutant).findings
        if finding.failure.operands
    ]
    assert {name for name, _ in scripts} == {mutant.name for mutant in group}
    assert _ended(scripts) == ["failed"] * len(scripts)
    mended = [("correct_taps", text) for _, text in scripts if PLACE.search(text)]
    assert _ended(mended) == ["passed"] * len(mended)


@pytest.mark.usefixtures("quickly")
def test_a_finding_is_small_and_has_what_a_reader_needs() -> None:
    def wrong(dy: Any, w: Any, shape: Any, *, groups: int = 1, **options: Any) -> Any:
        dx = T.conv_input_grad(dy, w, shape, groups=groups, **options)
        return dx * (2 if groups > 1 else 1)

    report = _check({"conv_input_grad": wrong}, seconds=1.5)
    (finding,) = report.wrong
    case = finding.failure.case
    assert (case.groups, case.rank, case.images) == (2, 1, 1)
    assert (case.in_group, case.out_group, case.kernel_size) == (1, 1, (1,))
    assert finding.first.groups > 1
    assert finding.count == report.tallies["conv_input_grad"].failed > 1
    assert "dx[n, " in finding.formula
    assert "np.array" in finding.reproduction


@pytest.mark.usefixtures("quickly")
def test_no_diagnosis_is_made_where_none_is_wanted() -> None:
    mutant = next(m for m in MUTANTS if m.name == "m01a")
    for wanted in (False, True):
        report = check(mutant.subject, seconds=1.2, diagnosis=wanted)
        assert any(f.diagnoses for f in report.wrong) is wanted


# --- what is not there is unsupported, never passed ---


def _ungrouped(
    x: Any, w: Any, b: Any = None, *, stride: Any, padding: Any, dilation: Any
) -> Any:
    return T.conv(x, w, b, stride=stride, padding=padding, dilation=dilation)


def _unless(broken: Callable[..., bool], error: Exception) -> Callable[..., Any]:
    def conv(x: Any, w: Any, b: Any = None, **options: Any) -> Any:
        if broken(x, **options):
            raise error
        return T.conv(x, w, b, **options)

    return conv


LACKING: dict[str, tuple[Callable[..., Any], str, str]] = {
    "by signature": (_ungrouped, "groups", "conv has no parameter 'groups'"),
    "by NotImplementedError": (
        _unless(
            lambda x, groups, **_: groups > 1, NotImplementedError("no groups yet")
        ),
        "groups",
        "no groups yet",
    ),
    "by refusal": (
        _unless(lambda x, **_: x.ndim != 4, ValueError("x must have 4 axes")),
        "rank 1",
        "refused with ValueError: x must have 4 axes",
    ),
}


@pytest.mark.usefixtures("fixed_only")
@pytest.mark.parametrize("how", LACKING)
def test_a_missing_feature_is_reported_with_its_reason(how: str) -> None:
    conv, feature, reason = LACKING[how]
    report = _check({"conv": conv}, **ENOUGH)
    assert report.findings == ()
    found = {name: why for name, why in report.unsupported.items() if feature in name}
    assert reason in found.values(), report.unsupported
    assert report.tallies["conv"].passed > 10


@pytest.mark.usefixtures("fixed_only")
def test_a_refusal_in_so_many_words_is_not_supported() -> None:
    conv = _unless(lambda x, stride, **_: stride != 1, ValueError("stride?"))
    report = _check({"conv": conv}, **ENOUGH)
    assert report.findings == ()
    assert report.unsupported["stride in conv"] == "refused with ValueError: stride?"


@pytest.mark.usefixtures("fixed_only")
def test_code_for_two_dimensions_alone_is_right_where_it_answers() -> None:
    def conv(x: Any, w: Any, b: Any = None, **options: Any) -> Any:
        assert x.shape[2] + x.shape[3]  # an IndexError with one dimension
        if x.ndim > 4:
            raise IndexError("too many dimensions")
        return T.conv(x, w, b, **options)

    report = check({"conv": conv}, seconds=60)
    assert report.status == 0, report.findings
    assert {"rank 1 in conv", "rank 3 in conv"} <= set(report.unsupported)


def _depthwise(x: Any, w: Any, b: Any = None, **options: Any) -> Any:
    plain = {n: v for n, v in options.items() if n not in ("padding", "groups")}
    if x.dtype != np.float32 or w.shape[2:] != (3, 3) or plain.get("stride", 1) != 1:
        raise NotImplementedError
    if options.get("padding") != 1 or w.shape[:2] != (options.get("groups"), 1):
        raise NotImplementedError
    return T.conv(x, w, b, **options)


def _blocks(x: Any, kernel_size: Any, stride: Any = 1, **options: Any) -> Any:
    if stride != kernel_size or options.get("padding", 0) != 0:
        raise NotImplementedError("blocks")
    return T.max_pool(x, kernel_size, stride=stride, **options)


def _vectors(x: Any, w: Any, b: Any = None, **options: Any) -> Any:
    if x.shape[1] % 4 or w.shape[0] % 4:
        raise ValueError("channels come in fours")
    return T.conv(x, w, b, **options)


def _squares(x: Any, w: Any, b: Any = None, **options: Any) -> Any:
    if len({*x.shape[2:]}) > 1:
        np.ones((2, 3)) @ np.ones((2, 3))  # as code for squares fails, unmeant
    return T.conv(x, w, b, **options)


@pytest.mark.usefixtures("fixed_only")
@pytest.mark.parametrize(
    ("name", "function", "lacking"),
    [
        ("conv", _depthwise, "not depthwise in conv"),
        ("max_pool", _blocks, "stride other than the kernel in max_pool"),
        ("conv", _vectors, "channels no multiple of 4 in conv"),
        ("conv", _squares, "image not square in conv"),
    ],
)
def test_limited_code_is_judged_where_it_answers(
    name: str, function: Any, lacking: str
) -> None:
    report = check({name: function}, seconds=60)
    assert report.status == 0, (report.findings, report.incomplete)
    assert report.tallies[name].passed > 5
    assert lacking in report.unsupported

    def wrong(*arrays: Any, **options: Any) -> Any:
        y = function(*arrays, **options)
        return y + (y.shape[-1] > 3)

    assert check({name: wrong}, seconds=60, diagnosis=False).status == 1


def test_an_error_of_the_plain_case_is_wrong_whatever_class_it_has() -> None:
    def backward(dy: Any, x: Any, w: Any, padding: int = 0, **options: Any) -> Any:
        dx = np.zeros_like(x)
        dx[:] = dx[..., 0:-0, 0:-0]  # crops everything where nothing was padded
        return dx, w * 0, dy.sum((0, 2, 3))

    report = check({"conv_backward": backward}, seconds=3)
    assert report.status == 1
    assert report.findings[0].failure.reason == "raised"


def test_a_slip_with_what_everybody_has_to_have_is_wrong() -> None:
    def conv(x: Any, w: Any, b: Any = None, *, stride: Any = 1, **options: Any) -> Any:
        if stride != 1:
            x = x + np.zeros((*x.shape[:-1], 977), x.dtype)  # which does not fit
        return T.conv(x, w, b, stride=stride, **options)

    report = _check({"conv": conv}, **ENOUGH)
    assert report.status == 1
    assert "raised" in {f.failure.reason for f in report.wrong}


@pytest.mark.usefixtures("fixed_only")
@pytest.mark.parametrize("declared", [{"groups"}, ("groups",), {"groups": "one only"}])
def test_a_declared_limit_is_kept_to(declared: Any) -> None:
    seen: set[int] = set()

    def conv(x: Any, w: Any, b: Any = None, *, groups: int = 1, **options: Any) -> Any:
        seen.add(groups)
        return T.conv(x, w, b, groups=groups, **options)

    subject = SimpleNamespace(conv=conv, UNSUPPORTED=declared)
    report = check(subject, seconds=60)
    assert seen == {1}
    assert report.status == 0
    reason = "one only" if isinstance(declared, dict) else "declared in UNSUPPORTED"
    assert report.unsupported["groups"] == reason


@pytest.mark.usefixtures("fixed_only")
def test_what_the_caller_leaves_out_is_not_asked_for() -> None:
    seen: set[Any] = set()

    def conv(x: Any, w: Any, b: Any = None, *, stride: Any = 1, **more: Any) -> Any:
        seen.add(stride)
        return T.conv(x, w, b, stride=stride, **more)

    functions = {"conv": conv, "conv_input_grad": _raising(RuntimeError())}
    report = _check(functions, lacking=["stride", "conv_input_grad"], seconds=60)
    assert report.status == 0
    assert seen == {1}
    assert report.unsupported["stride"] == "left out as asked"
    assert report.unsupported["conv_input_grad"] == "left out as asked"
    assert "conv_input_grad" not in report.tallies


def test_functions_that_are_not_there_are_named() -> None:
    report = _check({"relu": T.relu})
    assert report.unsupported["conv"] == "not there"
    assert list(report.tallies) == ["relu"]


@pytest.mark.usefixtures("fixed_only")
def test_only_some_functions_are_judged_where_that_is_asked() -> None:
    report = _check(
        {"relu": T.relu, "max_pool": T.max_pool, "conv": _raising(RuntimeError())},
        only=["relu", "max_pool"],
        seconds=60,
    )
    assert report.status == 0
    assert set(report.tallies) == {"relu", "max_pool"}


@pytest.mark.usefixtures("fixed_only")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_only_the_wanted_dtype_is_judged(dtype: str) -> None:
    seen = set()

    def relu(x: Any) -> Any:
        seen.add(str(x.dtype))
        return T.relu(x)

    report = _check({"relu": relu}, dtypes=(dtype,), seconds=60)
    assert seen == {dtype}
    assert report.dtypes == (dtype,)
    assert report.status == 0


def test_a_function_without_return_is_wrong() -> None:
    report = _check({"relu": lambda x: None})
    assert report.status == 1
    assert report.wrong[0].failure.reason == "type"


@pytest.mark.usefixtures("fixed_only")
def test_a_gradient_that_is_never_given_keeps_the_verdict_incomplete() -> None:
    def backward(dy: Any, x: Any, w: Any, **options: Any) -> Any:
        return *T.conv_backward(dy, x, w, **options)[:2], None

    report = _check({"conv_backward": backward}, seconds=60)
    assert report.status == 2
    assert report.incomplete == ("conv_backward: db was not judged: None was returned",)
    assert report.unsupported["db of conv_backward"] == "None was returned"


@pytest.mark.usefixtures("fixed_only")
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ZeroDivisionError("broken"), 1),
        (IndexError("broken"), 1),
        (SystemExit(3), 1),
        (ValueError("never"), 2),
        (NotImplementedError("not yet"), 2),
    ],
)
def test_code_that_raises_everywhere_is_wrong_or_cannot_be_judged(
    error: BaseException, status: int
) -> None:
    report = _check({"conv": _raising(error)}, seconds=60)
    assert report.status == status
    if status == 2:
        assert report.problem is not None
        assert report.findings == ()
        assert str(error) in report.unsupported["conv"]
    else:
        assert report.findings[0].failure.reason == "raised"
        assert type(error).__name__ in report.findings[0].failure.message


@pytest.mark.usefixtures("fixed_only")
@pytest.mark.parametrize(("strict", "status"), [(False, 0), (True, 1)])
def test_accepting_nonsense_is_wrong_only_if_strict(strict: bool, status: int) -> None:
    mutant = next(m for m in MUTANTS if m.name == "m15a")
    report = check(mutant.subject, seconds=60, only=("conv",), strict=strict)
    assert report.status == status
    assert report.wrong == ()
    assert any("a bias of" in f.failure.message for f in report.lenient)


# --- which configurations ---


def _calls(count: int, **options: Any) -> list[tuple[Any, ...]]:
    """What a subject is asked in a run of so many configurations."""
    calls: list[tuple[Any, ...]] = []

    def relu(x: Any) -> Any:
        calls.append((x.shape, str(x.dtype), x.tobytes()))
        return T.relu(x)

    def max_pool(x: Any, kernel_size: Any, **more: Any) -> Any:
        calls.append((x.shape, kernel_size, *more.items(), x.tobytes()))
        return T.max_pool(x, kernel_size, **more)

    def stop(done: int, planned: int | None, seconds: float, failed: int) -> None:
        if done == count:
            raise KeyboardInterrupt

    _check({"relu": relu, "max_pool": max_pool}, progress=stop, seconds=60, **options)
    return calls


def test_the_same_seed_gives_the_same_calls_and_another_seed_others() -> None:
    # The corners are fewer, so that the last ones are random.
    first, again, other = _calls(70), _calls(70), _calls(70, seed=1)
    assert first == again
    assert first != other
    assert len(set(first)) > 60


def test_the_laws_are_asked_and_counted() -> None:
    report = _check({"avg_pool_backward": T.avg_pool_backward}, **ENOUGH)
    assert report.laws["sum"].passed > 3
    assert report.laws["repeat"].passed > 3
    assert not any(tally.failed for tally in report.laws.values())


def test_what_no_function_can_do_does_not_count_as_judged() -> None:
    report = _check({"relu": T.relu}, seconds=60, progress=_stop_after_corners)
    assert report.configurations == report.tallies["relu"].passed > 3


def _stop_after_corners(
    done: int, planned: int | None, seconds: float, failed: int
) -> None:
    if planned is None or done == planned:
        raise KeyboardInterrupt


def test_the_quick_profile_ends_in_time_and_counts_what_it_judged() -> None:
    seen: list[int] = []

    def progress(done: int, planned: int | None, seconds: float, failed: int) -> None:
        seen.append(done)

    report = check(T, seconds=0.5, progress=progress)
    assert report.seconds < 2.5
    assert report.configurations == max(seen) >= 10
    assert seen == sorted(seen)
    assert (report.profile, report.seed) == ("quick", 0)


def test_the_full_profile_judges_all_that_is_planned() -> None:
    report = _check({"relu": T.relu}, profile="full")
    assert report.status == 0
    assert report.planned is not None
    assert report.configurations == report.planned > 80
    assert report.tallies["relu"].passed == report.planned


@pytest.mark.usefixtures("quickly")
def test_shapes_of_a_file_are_judged_instead(tmp_path: Path) -> None:
    path = tmp_path / "nets.txt"
    path.write_text("mb1ic2ih6oc3kh3\nmb2ic2ih7oc2kh3sh2ph1\n")
    report = _check(CONV, shapes=path)
    assert (report.status, report.profile, report.planned) == (0, "shapes", 4)
    assert report.tallies["conv"].passed == 4  # each in both dtypes
    wrong = _check({"conv": lambda *a, **k: T.conv(*a, **k) * 2}, shapes=path)
    assert wrong.status == 1


def test_a_run_that_is_interrupted_reports_what_it_found() -> None:
    def stop(done: int, planned: int | None, seconds: float, failed: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    report = _check({"relu": T.relu}, progress=stop, seconds=30)
    assert report.configurations == 3
    assert "interrupted" in " ".join([*report.notes, report.problem or ""])


def test_a_wrong_forward_with_its_own_gradients_is_noted() -> None:
    flipped = next(m.subject for m in MUTANTS if m.name == "m02b")
    report = check(flipped, seconds=1, diagnosis=False)
    assert any("are those of the wrong forward" in note for note in report.notes)


# --- what cannot be run ---


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dtypes": ("float8",)}, "float32, float64"),
        ({"dtypes": "float32"}, "Use a tuple"),
        ({"dtypes": ()}, "Use a tuple"),
        ({"only": ("convolve",)}, "conv_input_grad"),
        ({"arithmetic": "fast"}, "Use one of exact"),
        ({"profile": "fast"}, "Use one of 'quick' and 'full'"),
        ({"shapes": "no/such/file.txt"}, "cannot be read"),
    ],
)
def test_options_out_of_range_are_refused_with_what_is_known(
    options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ArgumentError, match="check: ") as info:
        _check(CONV, **options)
    assert words in str(info.value)


def test_a_file_that_is_not_there_cannot_be_judged(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing\.py"):
        check(str(tmp_path / "missing.py"), seconds=1)


def test_an_object_without_functions_cannot_be_judged() -> None:
    with pytest.raises(DataError, match="nothing here that can be judged"):
        check(np.zeros(3), seconds=1)


@pytest.mark.usefixtures("quickly")
def test_a_file_is_judged_in_a_process_of_its_own(tmp_path: Path) -> None:
    path = write(tmp_path, "import numpy as np\n\ndef relu(x):\n    return abs(x)\n")
    report = check(path, seconds=1)
    assert report.status == 1
    assert report.subject == path
    assert report.versions["numpy"] == np.__version__


def test_a_shape_that_the_code_cannot_do_is_said_and_not_changed(
    tmp_path: Path,
) -> None:
    def conv(
        x: Any, w: Any, b: Any = None, *, stride: Any = 1, padding: Any = 0
    ) -> Any:
        return T.conv(x, w, b, stride=stride, padding=padding)

    shapes = tmp_path / "shapes.txt"
    shapes.write_text("g1mb1ic2ih5oc3kh3ph1\ng2mb1ic2ih5oc4kh3ph1\n")
    report = _check({"conv": conv}, shapes=shapes)
    assert report.tallies["conv"].passed == 2  # the first line, in both dtypes
    where = "x (1, 2, 5, 5) with w (4, 1, 3, 3) of the shapes"
    assert report.unsupported[where] == "it needs groups"
