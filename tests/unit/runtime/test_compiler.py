"""Compiling, loading, and the objects on disk."""

import compileall
import ctypes
import hashlib
import os
import shutil
import stat
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import child_environment, python

from rot180.errors import CompileError
from rot180.runtime import _compiler, _cpu
from rot180.runtime._object_cache import ObjectCache, cache_info, object_cache

ADD = "define i64 @add(i64 %a, i64 %b) {\n %s = add i64 %a, %b\n ret i64 %s\n}\n"
HOST = _cpu.detect().target
KEY = "ab" * 32
CODE = b"some object code"
EM_AARCH64 = 183
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def call_add(library: _compiler.Library) -> int:
    kind = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
    return int(kind(library.address("add"))(20, 22))


def cached_add(make_ir: Callable[[], str] = lambda: ADD) -> _compiler.Library:
    return _compiler.compile_cached("add", make_ir, HOST, {}, ("add",))


def never() -> str:
    raise AssertionError("the IR was asked for")


def only_entry(directory: Path) -> Path:
    (entry,) = directory.glob("*.o")
    return entry


class TestCode:
    def test_compiled_code_runs(self) -> None:
        code = _compiler.compile_object(ADD, HOST)
        assert call_add(_compiler.load(code, {}, ("add",))) == 42

    def test_two_libraries_may_define_the_same_name(self) -> None:
        code = _compiler.compile_object(ADD, HOST)
        first, second = (_compiler.load(code, {}, ("add",)) for _ in range(2))
        assert first.address("add") != second.address("add")
        first.close()
        assert call_add(second) == 42

    def test_bad_text_is_refused(self) -> None:
        with pytest.raises(CompileError, match="LLVM rejects the module"):
            _compiler.compile_object("define i64 @f() { ret i32 0 }", HOST)

    def test_missing_symbol_is_refused_quietly(
        self, capfd: pytest.CaptureFixture[str]
    ) -> None:
        text = "declare void @absent()\ndefine void @f() {\n call void @absent()\n"
        code = _compiler.compile_object(text + " ret void\n}\n", HOST)
        with pytest.raises(CompileError, match="cannot be linked"):
            _compiler.load(code, {}, ("f",))
        assert capfd.readouterr().err == ""

    def test_garbage_is_refused(self) -> None:
        with pytest.raises(CompileError, match="cannot be linked"):
            _compiler.load(CODE, {}, ("f",))

    def test_unknown_export_is_refused(self) -> None:
        library = cached_add()
        with pytest.raises(CompileError, match=r"no symbol 'sub'.*\n.*exports add"):
            library.address("sub")

    def test_closed_library_gives_no_address(self) -> None:
        library = cached_add()
        library.close()
        library.close()
        with pytest.raises(CompileError, match="it is closed"):
            library.address("add")

    def test_other_architecture_is_emitted_but_not_run(self) -> None:
        foreign = next(
            target
            for target in (_cpu.for_family(n).target for n in ("neon", "avx2"))
            if not _cpu.is_runnable(target)
        )
        code = _compiler.compile_object(ADD, foreign)
        (machine,) = struct.unpack_from("<H", code, 18)
        if foreign.name == "neon":
            assert machine == EM_AARCH64
        with pytest.raises(CompileError, match="cannot run on this processor"):
            _compiler.compile_cached("add", lambda: ADD, foreign, {}, ("add",))

    def test_assembly_is_text(self) -> None:
        assert "add:" in _compiler.compile_assembly(ADD, HOST)

    def test_forced_targets_run(self) -> None:
        for name in ("avx2", "baseline"):
            target = _cpu.for_family(name).target
            if _cpu.is_runnable(target):
                code = _compiler.compile_object(ADD, target)
                assert call_add(_compiler.load(code, {}, ("add",))) == 42


class TestKey:
    def test_depends_on_text_and_target(self) -> None:
        baseline = _cpu.for_family("baseline").target
        keys = {
            _compiler.object_key("a", HOST),
            _compiler.object_key("b", HOST),
            _compiler.object_key("a", baseline),
        }
        assert len(keys) == 3
        assert _compiler.object_key("a", HOST) in keys

    def test_depends_on_our_sources(self, monkeypatch: pytest.MonkeyPatch) -> None:
        before = _compiler.object_key("a", HOST)
        monkeypatch.setattr(_compiler, "source_digest", lambda: "other")
        assert _compiler.object_key("a", HOST) != before

    @pytest.mark.parametrize("kind", ["source", "bytecode", "zip"])
    def test_the_digest_sees_contents_names_and_folders_inside(
        self, kind: str, tmp_path: Path
    ) -> None:
        texts = [{"a": "x = 1\n"}, {"a": "x = 2\n"}, {"b": "x = 1\n"}]
        texts += [{"a": "x = 1\n", "inner/c": text} for text in ("y = 1\n", "y = 2\n")]
        places = [_packed(f, kind, tmp_path / str(n)) for n, f in enumerate(texts)]
        again = [] if kind == "bytecode" else [_packed(texts[0], kind, tmp_path / "x")]
        first, *others = _digests([*places, *again])
        assert len({first, *others[: len(texts) - 1]}) == len(texts)
        assert others[len(texts) - 1 :] == [first] * len(again)

    def test_the_version_and_all_that_makes_code_are_digested(self) -> None:
        rooms = ("program", "lower", "schedules", "codegen", "runtime")
        names = ("rot180",), tuple(f"rot180.{room}" for room in rooms)
        assert _compiler.source_digest() == _compiler.digest_modules(*names)


def _packed(files: dict[str, str], kind: str, folder: Path) -> Path:
    """Where a package of these files can be imported from."""
    package = folder / "package"
    for name, text in ({"__init__": "", "inner/__init__": ""} | files).items():
        path = package / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    if kind == "bytecode":
        compileall.compile_dir(package, quiet=1, legacy=True)
        for path in package.rglob("*.py"):
            path.unlink()
    if kind == "zip":
        return Path(shutil.make_archive(str(folder), "zip", folder))
    return folder


def _digests(places: list[Path]) -> list[str]:
    """The digest of the package in each place."""
    code = (
        "import sys\nfrom rot180.runtime._compiler import digest_modules\n"
        "for place in sys.argv[1:]:\n"
        "    sys.path.insert(0, place)\n"
        "    print(digest_modules((), ('package',)))\n"
        "    del sys.path[0]\n"
        "    for name in [n for n in sys.modules if n.startswith('package')]:\n"
        "        del sys.modules[name]\n"
    )
    done = subprocess.run(
        python("-B", "-c", code, *map(str, places)),
        capture_output=True,
        text=True,
        env=child_environment(),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


class TestDiskCache:
    def test_hit_needs_no_ir(self) -> None:
        assert call_add(cached_add()) == 42
        assert call_add(cached_add(never)) == 42

    def test_directory_and_entries_are_private(self, private_cache: Path) -> None:
        cached_add()
        assert stat.S_IMODE(private_cache.stat().st_mode) == 0o700
        assert stat.S_IMODE(only_entry(private_cache).stat().st_mode) == 0o600

    @pytest.mark.parametrize("place", ["format", "key", "digest", "code"])
    def test_corrupt_entry_is_recompiled(self, private_cache: Path, place: str) -> None:
        cached_add()
        entry = only_entry(private_cache)
        good = entry.read_bytes()
        offset = {"format": 3, "key": 20, "digest": 60, "code": len(good) - 5}[place]
        damaged = bytearray(good)
        damaged[offset] ^= 1
        entry.write_bytes(damaged)
        with pytest.raises(AssertionError, match="asked for"):
            cached_add(never)
        assert call_add(cached_add()) == 42
        assert entry.read_bytes() == good

    @pytest.mark.parametrize("kept", [0, 10, 79, 80, 81, -1])
    def test_truncated_entry_is_recompiled(
        self, private_cache: Path, kept: int
    ) -> None:
        cached_add()
        entry = only_entry(private_cache)
        entry.write_bytes(entry.read_bytes()[:kept])
        with pytest.raises(AssertionError, match="asked for"):
            cached_add(never)
        assert call_add(cached_add()) == 42

    def test_intact_entry_that_does_not_link_is_recompiled(self) -> None:
        key = _compiler.object_key("add", HOST)
        object_cache().write(key, CODE)
        assert call_add(cached_add()) == 42

    def test_entry_under_another_key_is_ignored(self, tmp_path: Path) -> None:
        cache = ObjectCache(tmp_path / "objects")
        cache.write(KEY, CODE)
        other = "cd" * 32
        os.replace(tmp_path / "objects" / f"{KEY}.o", tmp_path / f"objects/{other}.o")
        assert cache.read(other) is None

    def test_foreign_entry_is_ignored(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cache = ObjectCache(tmp_path / "objects")
        cache.write(KEY, CODE)
        assert cache.read(KEY) == CODE
        user = os.geteuid()
        monkeypatch.setattr(os, "geteuid", lambda: user + 1)
        assert cache.read(KEY) is None

    def test_foreign_directory_is_not_used(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        user = os.geteuid()
        monkeypatch.setattr(os, "geteuid", lambda: user + 1)
        tmp_path.joinpath("objects").mkdir()
        cache = ObjectCache(tmp_path / "objects")
        assert "belongs to another user" in cache.info().reason

    @pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
    def test_entry_others_can_write_is_ignored(self, tmp_path: Path, mode: int) -> None:
        cache = ObjectCache(tmp_path / "objects")
        cache.write(KEY, CODE)
        only_entry(tmp_path / "objects").chmod(mode)
        assert cache.read(KEY) is None

    def test_link_and_pipe_are_ignored(self, tmp_path: Path) -> None:
        cache = ObjectCache(tmp_path / "objects")
        cache.write(KEY, CODE)
        entry = only_entry(tmp_path / "objects")
        entry.rename(tmp_path / "elsewhere")
        entry.symlink_to(tmp_path / "elsewhere")
        assert cache.read(KEY) is None
        entry.unlink()
        os.mkfifo(entry, 0o600)
        assert cache.read(KEY) is None

    def test_loose_directory_is_made_private(self, tmp_path: Path) -> None:
        directory = tmp_path / "objects"
        directory.mkdir(mode=0o755)
        ObjectCache(directory)
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700

    def test_impossible_directory_only_turns_it_off(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = tmp_path / "file"
        file.write_text("not a directory")
        monkeypatch.setenv("ROT180_CACHE_DIR", str(file))
        assert call_add(cached_add()) == 42
        info = cache_info()
        assert info.path is None
        assert info.reason

    def test_failed_write_costs_that_entry_alone(self, tmp_path: Path) -> None:
        cache = ObjectCache(tmp_path / "objects")
        (tmp_path / "objects").rmdir()
        cache.write(KEY, CODE)
        assert cache.read(KEY) is None
        assert "No such file" in cache.info().reason
        (tmp_path / "objects").mkdir(mode=0o700)
        cache.write(KEY, CODE)
        assert cache.read(KEY) == CODE
        assert cache.info().reason == ""

    def test_switch(self, private_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ROT180_CACHE", "0")
        assert call_add(cached_add()) == 42
        assert not private_cache.exists()
        assert cache_info().reason == "turned off by ROT180_CACHE=0"

    def test_info_counts(self, private_cache: Path) -> None:
        cached_add()
        info = cache_info()
        assert info.path == str(private_cache)
        assert info.entries == 1
        assert info.bytes == only_entry(private_cache).stat().st_size
        assert info.reason == ""

    def test_oldest_entries_are_evicted(self, tmp_path: Path) -> None:
        directory = tmp_path / "objects"
        cache = ObjectCache(directory, limit=10_000)
        for age, name in enumerate(["aa", "bb", "cc", "dd"]):
            cache.write(name * 32, bytes(4_000))
            os.utime(directory / f"{name * 32}.o", (1e9 - age, 1e9 - age))
        cache.evict()
        assert only_entry(directory).stem == "aa" * 32

    def test_use_renews_an_old_entry(self, tmp_path: Path) -> None:
        cache = ObjectCache(tmp_path / "objects")
        cache.write(KEY, CODE)
        entry = only_entry(tmp_path / "objects")
        os.utime(entry, (1e9, 1e9))
        cache.read(KEY)
        assert entry.stat().st_mtime > 1e9

    def test_forgotten_temporaries_are_removed(self, tmp_path: Path) -> None:
        cache = ObjectCache(tmp_path / "objects")
        old = tmp_path / "objects" / f"{KEY}.1-2-3.tmp"
        new = tmp_path / "objects" / f"{KEY}.4-5-6.tmp"
        old.touch()
        new.touch()
        os.utime(old, (1e9, 1e9))
        cache.evict()
        assert not old.exists()
        assert new.exists()

    def test_files_of_others_are_never_touched(self, tmp_path: Path) -> None:
        directory = tmp_path / "objects"
        cache = ObjectCache(directory, limit=1)
        (directory / "sub.o").mkdir()
        for name in ("thesis.txt", "thesis.o", f"{KEY}.txt"):
            file = directory / name
            file.write_text("of the user")
            os.utime(file, (1e9, 1e9))
        cache.evict()
        assert cache.info().entries == 0
        assert {path.name for path in directory.iterdir()} == {
            "sub.o", "thesis.txt", "thesis.o", f"{KEY}.txt"
        }  # fmt: skip

    def test_directory_in_the_place_of_an_entry_costs_only_that_entry(
        self, tmp_path: Path
    ) -> None:
        directory = tmp_path / "objects"
        cache = ObjectCache(directory, limit=1)
        (directory / f"{KEY}.o").mkdir()
        before = len(os.listdir("/proc/self/fd")) if Path("/proc").exists() else 0
        for _ in range(3):
            cache.write(KEY, CODE)
            assert cache.read(KEY) is None
        if before:
            assert len(os.listdir("/proc/self/fd")) == before
        cache.evict()
        assert cache.info().entries == 0
        assert "irectory" in cache.info().reason
        assert [path.name for path in directory.iterdir()] == [f"{KEY}.o"]

    def test_vanished_directory_is_empty(self, tmp_path: Path) -> None:
        cache = ObjectCache(tmp_path / "objects")
        (tmp_path / "objects").rmdir()
        cache.evict()
        assert cache.info().entries == 0


SECOND_PROCESS = """
import numpy as np, jobs
from rot180.codegen import _call_ir
from rot180.runtime import _call, _compiler, _cpu
def never(): raise AssertionError("the IR was asked for")
target = _cpu.detect().target
call = _call.build_call(jobs.SCALE, never, jobs.scale_spec(), target)
y, x, a = np.zeros(3, "f4"), np.ones(3, "f4"), np.full(1, 5, "f4")
call(y, x, a, 3)
print(*y)
"""

DIGEST = """
import hashlib, jobs
from rot180.codegen import _call_ir, _team_ir
from rot180.runtime import _compiler, _cpu
target = _cpu.detect().target
ir = jobs.SCALE + _call_ir.entry_ir(jobs.scale_spec(), target)
for text in (ir, _team_ir.team_ir(target.triple)):
    print(hashlib.sha256(_compiler.compile_object(text, target)).hexdigest())
"""


def test_second_process_loads_what_the_first_stored(run_script: Run) -> None:
    first = run_script(
        SECOND_PROCESS.replace("never, jobs", "lambda: jobs.SCALE, jobs")
    )
    second = run_script(SECOND_PROCESS)
    assert first.stdout == second.stdout == "5.0 5.0 5.0\n", second.stderr


def test_objects_hold_no_address_of_a_process(run_script: Run) -> None:
    outputs = {run_script(DIGEST).stdout for _ in range(2)}
    assert len(outputs) == 1
    assert len(outputs.pop().split()[0]) == hashlib.sha256().digest_size * 2
