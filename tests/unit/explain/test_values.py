"""The numbers that are given: random, arrays, files."""

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from explain_cases import values_of

from rot180 import explain
from rot180.errors import ArgumentError, DataError, ShapeError


def _flat(found: explain.Explanation, name: str) -> list[Any]:
    return list(values_of(found)[name].values())


def test_random_numbers_depend_on_seed_and_name_alone() -> None:
    plain, wider = explain.explain(), explain.explain(kernel=1)
    assert _flat(plain, "X") == _flat(wider, "X")
    assert _flat(plain, "X") != _flat(explain.explain(seed=1), "X")
    numbers = _flat(explain.explain(input=(20, 20), kernel=1, seed=3), "X")
    assert set(numbers) == set(range(-4, 6)) - {0}


def test_letters_are_no_numbers() -> None:
    found = explain.explain(values="letters")
    assert found.values is None
    assert "dX22 = dO11*F22 + dO12*F21 + dO21*F12 + dO22*F11\n" in found.text()


def test_letters_have_numbers_where_numbers_are_needed() -> None:
    found = explain.explain(values="letters", seed=2, count_from=0)
    numbered = found.numbered()
    assert numbered.values == explain.explain(seed=2).values
    assert numbered.names.count_from == 0
    assert "[]" not in explain.program(found, "numpy")


@pytest.mark.parametrize("seed", [-1, 1.5, "a", None, 10**9])
def test_a_seed_that_is_none(seed: Any) -> None:
    with pytest.raises(ArgumentError, match=r"seed is .*\n  Pass an integer from 0 on"):
        explain.explain(seed=seed)


def test_the_examples_have_no_ties_and_no_kinks() -> None:
    """A difference quotient would find other gradients there."""
    for layer in ("max_pool", "relu", "network"):
        found = explain.explain(layer=layer)
        for part in found.passes:
            for term in (t for e in part.equations for t in e.terms if t.choice):
                numbers = [cell.value(found.values) for cell in term.choice.among]
                numbers += [] if term.choice.floor is None else [term.choice.floor]
                assert numbers.count(max(numbers)) == 1


SHAPES = [
    ({"X": (5, 4)}, {"input": (5, 4)}),
    ({"X": (7,)}, {"input": (7,)}),
    ({"X": (2, 5, 4)}, {"input": (5, 4), "channels": (2, 2)}),
    ({"X": (3, 2, 5, 4)}, {"images": 3, "channels": (2, 2)}),
    ({"X": (5, 4), "F": (3, 2)}, {"kernel": (3, 2)}),
    ({"X": (2, 6), "F": (4, 2, 3)}, {"input": (6,), "channels": (2, 4)}),
    ({"X": (2, 5, 5), "F": (3, 2, 2, 2)}, {"channels": (2, 3), "kernel": (2, 2)}),
    ({"F": (3, 2, 2, 2)}, {"channels": (2, 3), "kernel": (2, 2), "input": (3, 3)}),
    ({"X": (4, 5, 5), "F": (6, 2, 2, 2)}, {"channels": (4, 6), "groups": 2}),
    ({"X": (4, 5, 5), "F": (4, 3, 2, 2)},
     {"channels": (4, 6), "groups": 2, "layer": "conv_transpose"}),
    ({"X": (2, 3, 3), "F": (2, 3, 2, 2)},
     {"channels": (2, 3), "layer": "conv_transpose", "kernel": (2, 2)}),
    ({"X": (5, 4, 2), "F": (3, 3, 2, 6)},
     {"channels": (2, 6), "layout": "channels_last", "input": (5, 4)}),
    ({"X": (3, 5, 4, 2), "F": (2, 2, 5, 2)},
     {"channels": (2, 5), "layout": "channels_last", "images": 3,
      "layer": "conv_transpose"}),
    ({"X": (2, 4, 4)}, {"layer": "max_pool", "channels": (2, 2), "input": (4, 4)}),
    ({"X": (3, 2, 6)}, {"input": (6,), "images": 3, "channels": (2, 2)}),
]  # fmt: skip
TOLD = ("layer", "layout", "groups")


@pytest.mark.parametrize(("shapes", "expected"), SHAPES)
def test_the_shapes_of_arrays_set_the_parameters(
    shapes: dict[str, tuple[int, ...]], expected: dict[str, Any]
) -> None:
    arrays = {n: np.arange(np.prod(s)).reshape(s) for n, s in shapes.items()}
    told = {name: expected[name] for name in TOLD if name in expected}
    if len(expected.get("input", ())) == 1 and len(shapes["X"]) == 3:
        told["input"] = expected["input"]  # else three axes are an image's
    found = explain.explain(values=arrays, **told)
    for name, value in expected.items():
        assert getattr(found.setting, name) == value
    for name, array in arrays.items():
        assert _flat(found, name) == array.ravel().tolist()


def test_nested_lists_flat_lists_and_floats() -> None:
    found = explain.explain(input=(2, 2), kernel=1, values={"X": [[1, 2], [3, 0.5]]})
    assert _flat(found, "X") == [1, 2, 3, 0.5]
    found = explain.explain(input=(2, 2), kernel=1, values={"X": [1, 2, 3, 4]})
    assert _flat(found, "X") == [1, 2, 3, 4]


BAD = [
    ({"Z": [1]}, ArgumentError, "no values 'Z' to give\n  Give some of X, F, dO"),
    ({"O": [1] * 4}, ArgumentError, "no values 'O' to give"),
    ({"X": [1, 2]}, ShapeError, r"its values \(2,\)\n  Pass 9 numbers"),
    ({"X": np.ones((9, 1, 1))}, ShapeError, r"its values \(9, 1, 1\)"),
    ({"X": [[1, 2], [3]]}, ShapeError, "different lengths"),
    ({"X": [float("nan")] * 9}, ArgumentError, "X holds 'nan'\n  Pass finite"),
    ({"X": [float("inf")] * 9}, ArgumentError, "X holds 'inf'"),
    ({"X": [1e12] * 9}, ArgumentError, "X holds '1000000000000.0'"),
    ({"X": ["a"] * 9}, ArgumentError, "X holds 'a'"),
    ("numbers", ArgumentError, 'Pass "random", "letters", or arrays by name'),
    (5, ArgumentError, "values is 5"),
    (np.ones((3, 3)), ArgumentError, "values is array"),
]


@pytest.mark.parametrize(("values", "kind", "message"), BAD, ids=lambda v: str(v)[:24])
def test_bad_values_are_refused(values: Any, kind: type, message: str) -> None:
    with pytest.raises(kind, match=message):
        explain.explain(input=(3, 3), values=values)


def test_files(tmp_path: Path) -> None:
    x, w = np.arange(16.0).reshape(4, 4), np.ones((3, 3))
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "xf.npz", X=x, F=w)
    assert list(explain.read_file(tmp_path / "x.npy")) == ["X"]
    found = explain.explain(values=explain.read_file(tmp_path / "xf.npz"))
    assert (found.setting.input, found.setting.kernel) == ((4, 4), (3, 3))


def test_files_that_are_none(tmp_path: Path) -> None:
    text, evil, large = (tmp_path / n for n in ("a.txt", "b.npy", "c.npy"))
    text.write_text("1 2 3")
    np.save(evil, np.array([object()]), allow_pickle=True)
    np.save(large, np.zeros(2_000_000))
    packed = tmp_path / "e.npz"
    np.savez_compressed(packed, X=np.zeros(2_000_000))
    assert packed.stat().st_size < 100_000
    zipped = tmp_path / "d.npz"
    zipped.write_bytes(b"PK\x03\x04 and no more")
    for path, why in (
        (text, "is no file of NumPy's"),
        (evil, "is no file of NumPy's"),
        (zipped, "is no file of NumPy's"),
        (packed, "cannot be read: it has more than 1,000,000 bytes"),
        (large, "cannot be read: it has more than 1,000,000 bytes"),
        (tmp_path / "none.npy", "cannot be read: No such file"),
        (tmp_path, "cannot be read: Is a directory|cannot be read: Permission denied"),
    ):
        with pytest.raises(DataError, match=rf"({why}).*\n  Pass a file written"):
            explain.read_file(path)


def _npy(descr: str, shape: str, body: bytes) -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body


def _encrypted(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr("X.npy", content)
    marked = bytearray(buffer.getvalue())
    marked[6] |= 1
    marked[marked.index(b"PK\x01\x02") + 8] |= 1
    return bytes(marked)


FOREIGN = [
    (_npy("'<f4'", "(1000000000000000,)", bytes(64)), "is no file of NumPy's"),
    (b"\x93NUMPY\x01\x00\x63\x00" + b"(" * 99, "is no file of NumPy's"),
    (_npy("'<f4'", "(-3,)", bytes(12)), "is no file of NumPy's"),
    (_encrypted(_npy("'<f4'", "(3,)", bytes(12))), "is no file of NumPy's"),
    (_npy("[('a','<f4')]", "(3,)", bytes(12)), "holds X of dtype .*, no numbers"),
    (_npy("'<M8[s]'", "(3,)", bytes(24)), "holds X of dtype datetime64"),
    (_npy("'<c8'", "(3,)", bytes(24)), "holds X of dtype complex64, no numbers"),
    (_npy("'<U1'", "(3,)", bytes(12)), "holds X of dtype <U1, no numbers"),
]


@pytest.mark.parametrize(("content", "why"), FOREIGN, ids=range(len(FOREIGN)))
def test_damaged_and_foreign_files(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"{why}(.*\n)+  Pass a file written by"):
        explain.read_file(path)


def test_numbers_stored_as_bfloat16(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(_npy("'<V2'", "(3,)", b"\x80\x3f\x00\xc0\x49\x40"))
    assert explain.read_file(path)["X"].tolist() == [1.0, -2.0, 3.140625]


def test_a_pipe_is_refused_unread(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.npy")
    with pytest.raises(DataError, match="cannot be read: it is no regular file"):
        explain.read_file(tmp_path / "x.npy")
