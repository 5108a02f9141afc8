"""What is known of the processor."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rot180.errors import ArgumentError
from rot180.runtime import _cpu


def test_detect_describes_a_consistent_processor() -> None:
    cpu = _cpu.detect()
    assert cpu.family in _cpu.FAMILIES
    assert cpu.lanes("float32") * 4 == cpu.lanes("float64") * 8 == cpu.vector_bytes
    assert cpu.cores >= 1
    assert 0 < cpu.l1 <= cpu.l2
    assert _cpu.is_runnable(cpu.target)


def test_features_are_sorted_and_never_prefer_short_vectors() -> None:
    names = [feature[1:] for feature in _cpu.detect().features.split(",") if feature]
    assert names == sorted(names)
    assert "+prefer-256-bit" not in _cpu.detect().features


@pytest.mark.parametrize(
    ("name", "vector_bytes", "registers", "has_fma"),
    [
        ("avx512", 64, 32, True),
        ("avx2", 32, 16, True),
        ("neon", 16, 32, True),
        ("baseline", 16, 16, False),
    ],
)
def test_family_has_its_registers(
    name: str, vector_bytes: int, registers: int, has_fma: bool
) -> None:
    cpu = _cpu.for_family(name)
    assert cpu.family == cpu.target.name == name
    assert (cpu.vector_bytes, cpu.registers) == (vector_bytes, registers)
    assert cpu.has_fma == has_fma


def test_a_family_needs_its_features_and_no_more() -> None:
    for name, needed in (
        ("avx512", _cpu.AVX512_FEATURES),
        ("avx2", _cpu.AVX2_FEATURES),
    ):
        features = dict.fromkeys(needed, True)
        assert _cpu._family_of(features) == name
        assert _cpu._family_of(features | {"something more": True}) == name
        for lacking in needed:
            assert _cpu._family_of(features | {lacking: False}) != name


def test_families_have_different_fingerprints() -> None:
    assert len({_cpu.for_family(name).fingerprint for name in _cpu.FAMILIES}) == 4


def test_unknown_family_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"no target is called 'sve'\n.*avx512"):
        _cpu.for_family("sve")


def test_code_runs_on_its_own_architecture_only() -> None:
    families = _cpu.FAMILIES
    runnable = {f: _cpu.is_runnable(_cpu.for_family(f).target) for f in families}
    assert runnable["baseline"]
    assert not (runnable["neon"] and runnable["avx2"])


def test_forced_target_holds_in_every_thread_and_ends() -> None:
    seen = []
    with _cpu.force_target("avx2") as outer:
        with _cpu.force_target("baseline"):
            thread = threading.Thread(target=lambda: seen.append(_cpu.current()))
            thread.start()
            thread.join()
        assert _cpu.current() is outer
    assert [cpu.family for cpu in seen] == ["baseline"]
    assert _cpu.current() is _cpu.detect()


def test_forced_target_ends_with_an_error() -> None:
    context = _cpu.force_target("avx2")
    context.__enter__()
    assert context.__exit__(ZeroDivisionError, ZeroDivisionError(), None) is not True
    assert _cpu.current() is _cpu.detect()


@pytest.fixture
def fake_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(_cpu, "SYSFS_CACHES", tmp_path)
    _cpu._caches.cache_clear()
    yield tmp_path
    _cpu._caches.cache_clear()


def test_caches_are_read_from_the_system(fake_caches: Path) -> None:
    kinds = [("1", "Data", "48K"), ("1", "Instruction", "64K"), ("2", "Unified", "2M")]
    for index, (level, kind, size) in enumerate(kinds):
        entry = fake_caches / f"index{index}"
        entry.mkdir()
        for name, text in (("level", level), ("type", kind), ("size", size)):
            (entry / name).write_text(f"{text}\n")
    assert _cpu._caches() == (48 << 10, 2 << 20, _cpu.DEFAULT_L3)


def test_caches_have_defaults(fake_caches: Path) -> None:
    (fake_caches / "index0").mkdir()
    defaults = (_cpu.DEFAULT_L1, _cpu.DEFAULT_L2, _cpu.DEFAULT_L3)
    assert _cpu._caches() == defaults
