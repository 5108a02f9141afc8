"""What an exception tells: in which words, where, and whether the code meant it."""

from __future__ import annotations

import dis
import linecache
import os
import re
import sysconfig
import traceback
from collections.abc import Collection, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

from rot180.check.subjects._outcome import Raised, Unsupported, printable

# What may lie in a subject's folder without being its own code: an environment with
# its packages and its standard library, and rot180 itself.
_FOREIGN: Final = {"site-packages", Path(sysconfig.get_path("stdlib")).name}
_OURS: Final = f"{Path(__file__).parent}{os.sep}_"
# Classes by which code refuses input, and the names of others that say the same.
_REFUSALS: Final = (TypeError, ValueError, AssertionError, RuntimeError)
_LACKING: Final = re.compile("notimplemented|unsupported|notsupported")
_UNEXPECTED: Final = re.compile(r"got an unexpected keyword argument '(\w+)'")


def raised(
    error: BaseException, folders: Sequence[str], options: Collection[str]
) -> Raised | Unsupported:
    """Returns the outcome of a call that raised.

    Args:
        error: What was raised.
        folders: Where the subject's code lies.
        options: The names of the options of the call.
    """
    if isinstance(error, NotImplementedError):
        return Unsupported(_text(error) or "raised NotImplementedError")
    kind, own = printable(type(error).__name__, ""), own_frames(error, folders)
    plain_kind = kind.replace("_", "").lower()
    return Raised(
        kind,
        _text(error) if _text(error).strip() else _source(own),
        _place(own),
        refusal=(isinstance(error, _REFUSALS) or bool(_LACKING.search(plain_kind)))
        and not isinstance(error, RecursionError),
        explicit=_is_explicit(error, folders, options),
    )


def _text(error: BaseException) -> str:
    try:
        return printable(str(error))
    except Exception as second:
        return f"its text raises {type(second).__name__}"


def _source(own: Sequence[traceback.FrameSummary]) -> str:
    """The lines of the innermost own statement, as one; it may be split by breaks."""
    if not own or own[-1].lineno is None:
        return ""
    first, last = own[-1].lineno, own[-1].end_lineno or own[-1].lineno
    lines = (linecache.getline(own[-1].filename, n) for n in range(first, last + 1))
    return printable(" ".join(line.strip() for line in lines))


def _place(own: Sequence[traceback.FrameSummary]) -> str:
    """The innermost place in the subject's own code, `file.py:12 in conv`."""
    if not own:
        return ""
    name = Path(own[-1].filename).name
    return printable(f"{name}:{own[-1].lineno} in {own[-1].name}", "")


def _is_explicit(
    error: BaseException, folders: Sequence[str], options: Collection[str]
) -> bool:
    """Whether the subject's own code raised it, or would not take the arguments."""
    innermost = _innermost(error)
    if innermost is None:
        return False
    code = innermost.tb_frame.f_code
    if _is_within(code.co_filename, folders):
        stands_at = dis.opname[code.co_code[innermost.tb_lasti]]
        return stands_at == "RAISE_VARARGS" or _is_unexpected(error, options)
    # No code of the subject was reached: its function did not take the arguments.
    reached = own_frames(error, folders)
    ours = code.co_filename.startswith(_OURS)
    return isinstance(error, TypeError) and ours and not reached


def _innermost(error: BaseException) -> TracebackType | None:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace


def _is_unexpected(error: BaseException, options: Collection[str]) -> bool:
    """Whether a function that passes its options on met one that has no such option."""
    name = _UNEXPECTED.search(_text(error))
    return isinstance(error, TypeError) and name is not None and name[1] in options


def own_frames(
    error: BaseException, folders: Sequence[str]
) -> list[traceback.FrameSummary]:
    """Returns the part of a traceback that is in the subject's own code.

    Args:
        error: What was raised.
        folders: Where the subject's code lies; packages installed there do not count.
    """
    frames = traceback.extract_tb(error.__traceback__)
    return [frame for frame in frames if _is_within(frame.filename, folders)]


def _is_within(filename: str, folders: Sequence[str]) -> bool:
    path = Path(filename)
    if filename.startswith(_OURS):
        return False
    for folder in folders:
        if path.is_relative_to(folder):
            return not _FOREIGN & {*path.relative_to(folder).parts}
    return False
