"""What all tests share: a cache of their own, hypothesis profiles, PyTorch."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from types import ModuleType

import pytest
from hypothesis import HealthCheck, Phase, settings

IS_XDIST_WORKER = "PYTEST_XDIST_WORKER" in os.environ

# Set before rot180 is imported, so that no test reads or writes the user's cache.
# Worker processes inherit the directory and so share compiled kernels.
if not IS_XDIST_WORKER:
    os.environ["ROT180_CACHE_DIR"] = tempfile.mkdtemp(prefix="rot180-test-cache-")

settings.register_profile(
    "default",
    deadline=None,  # the first call of each shape compiles
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "explore", settings.get_profile("default"), derandomize=False, max_examples=5000
)
settings.register_profile(  # ends at the first failure, without making it small
    "first",
    settings.get_profile("default"),
    phases=(Phase.explicit, Phase.generate),
    report_multiple_bugs=False,
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_unconfigure() -> None:
    if not IS_XDIST_WORKER:
        shutil.rmtree(os.environ["ROT180_CACHE_DIR"], ignore_errors=True)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Child processes end on Ctrl-C, even those of tests that run in the background.

    What a shell starts with `&` ignores SIGINT, and so does everything it starts.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def torch() -> ModuleType:
    """PyTorch on one thread; the test is skipped where it is not installed."""
    module: ModuleType = pytest.importorskip(
        "torch",
        reason="compares with PyTorch, not installed: pip install torch==2.13.0",
    )
    module.set_num_threads(1)
    return module
