"""Small jobs written by hand, compiled into calls, in this and in other processes."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from rot180.runtime import _team

HERE = Path(__file__).parent
SOURCE = Path(_team.__file__).parents[2]
# Long beside anything a script does; only a hang reaches it.
HANG_SECONDS = 60


@pytest.fixture(scope="session")
def jobs() -> ModuleType:
    """The hand-written jobs."""
    spec = importlib.util.spec_from_file_location("jobs", HERE / "jobs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give every test its own cache directory."""
    monkeypatch.setenv("ROT180_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("ROT180_CACHE", raising=False)
    return tmp_path / "cache" / "objects"


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Set the number of threads for one test."""
    before = _team.get_num_threads()
    yield _team.set_num_threads
    _team.set_num_threads(before)


@pytest.fixture
def run_script() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run Python text in a fresh process that can import `jobs`."""

    def run(text: str, **extra: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | extra
        environment["PYTHONPATH"] = f"{SOURCE}{os.pathsep}{HERE}"
        return subprocess.run(
            [sys.executable, "-X", "faulthandler", "-c", text],
            env=environment,
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
            check=False,
        )

    return run
