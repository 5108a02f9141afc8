"""What is installed: small, typed, with the licence of its data."""

from pathlib import Path

import rot180

PACKAGE = Path(rot180.__file__).parent
LIMIT_BYTES = 5_000_000


def test_package_is_small() -> None:
    files = [path for path in PACKAGE.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= LIMIT_BYTES


def test_package_says_that_it_is_typed_and_where_its_data_is_from() -> None:
    assert (PACKAGE / "py.typed").exists()
    assert "CC BY 4.0" in (PACKAGE / "train" / "data" / "DIGITS.txt").read_text()
