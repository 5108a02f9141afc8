"""Compiled objects on disk: never trusted, only recognised.

An entry is one file, ``<key>.o``: a magic, the key, the digest of the object, the
object.  An entry that is damaged, cut short, writable by others or owned by another
user is as good as absent.
"""

import hashlib
import itertools
import os
import re
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FORMAT = b"rot180 object 1\n"
DIGEST_BYTES = 32
HEADER_BYTES = len(FORMAT) + 2 * DIGEST_BYTES
LIMIT_BYTES = 256 << 20
# After eviction this share of the limit is kept, so that it is seldom needed.
KEPT_SHARE = 0.75
STORES_PER_EVICTION = 64
TOUCH_SECONDS = 24 * 3600.0
STALE_SECONDS = 3600.0

_serial = itertools.count()
# What this cache calls its own files: entries, and those being written.
_OURS = re.compile(r"[0-9a-f]{64}\.(o|[0-9]+-[0-9]+-[0-9]+\.tmp)")


@dataclass(frozen=True, slots=True)
class CacheInfo:
    """What the disk cache holds.

    Attributes:
        path: Its directory, or nothing if there is none.
        entries: Number of objects.
        bytes: Their total size.
        reason: Why it is not used; empty when it is.
    """

    path: str | None
    entries: int
    bytes: int
    reason: str


class ObjectCache:
    """Objects under `directory`; without a directory it remembers nothing.

    Args:
        directory: Where the entries lie; created if need be, private to the user.
        limit: Total bytes above which the oldest entries are removed.
        reason: Why there is no directory.
    """

    def __init__(
        self,
        directory: Path | None,
        *,
        limit: int = LIMIT_BYTES,
        reason: str = "",
    ) -> None:
        self._directory = directory
        self._limit = limit
        self._reason = reason
        self._writable = True
        self._stores = 0
        if directory is not None:
            self._prepare(directory)

    def read(self, key: str) -> bytes | None:
        """Return the object stored under `key`, or nothing if it cannot be trusted."""
        if self._directory is None:
            return None
        path = self._directory / f"{key}.o"
        try:
            blob = _read_private(path)
        except OSError:
            return None
        return None if blob is None else _unwrap(key, blob)

    def write(self, key: str, code: bytes) -> None:
        """Store `code` under `key`; a failure costs this entry and is remembered."""
        if self._directory is None or not self._writable:
            return
        path = self._directory / f"{key}.o"
        try:
            _write_atomically(path, _wrap(key, code))
        except OSError as error:
            self._reason = str(error)
            return
        self._reason = ""
        self._stores += 1
        if self._stores % STORES_PER_EVICTION == 1:
            self.evict()

    def evict(self) -> None:
        """Remove the oldest entries while the total exceeds the limit.

        Only files named as this cache names its own are ever removed.
        """
        entries = []
        for path, status in self._files():
            if path.suffix == ".o":
                entries.append((path, status))
            elif status.st_mtime < time.time() - STALE_SECONDS:
                _remove(path)
        entries.sort(key=lambda entry: entry[1].st_mtime)
        total = sum(status.st_size for _, status in entries)
        if total <= self._limit:
            return
        for path, status in entries:
            if total <= self._limit * KEPT_SHARE:
                return
            if _remove(path):
                total -= status.st_size

    def info(self) -> CacheInfo:
        """Return where the cache is and how much it holds."""
        sizes = [s.st_size for path, s in self._files() if path.suffix == ".o"]
        path = None if self._directory is None else str(self._directory)
        return CacheInfo(path, len(sizes), sum(sizes), self._reason)

    def _prepare(self, directory: Path) -> None:
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = directory.lstat()
            if stat.S_ISLNK(status.st_mode):
                raise PermissionError(f"{directory} is a symbolic link")
            if not _is_ours(status):
                raise PermissionError(f"{directory} belongs to another user")
            self._writable = os.access(directory, os.W_OK | os.X_OK)
            if not self._writable:
                self._reason = f"{directory} is not writable; what it holds is used"
            elif os.name == "posix" and stat.S_IMODE(status.st_mode) != 0o700:
                directory.chmod(0o700)
        except OSError as error:
            self._disable(error)

    def _disable(self, error: OSError) -> None:
        self._reason = str(error)
        self._directory = None

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        """The files of this cache, entries and those being written, and no others."""
        if self._directory is None:
            return
        try:
            paths = sorted(self._directory.iterdir())
        except OSError:
            return
        for path in paths:
            try:
                status = path.lstat()
            except OSError:
                continue
            if _OURS.fullmatch(path.name) and stat.S_ISREG(status.st_mode):
                yield path, status


def _remove(path: Path) -> bool:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return False
    return True


def object_cache() -> ObjectCache:
    """Return the cache the environment asks for.

    ``ROT180_CACHE_DIR`` names its directory, ``ROT180_CACHE=0`` turns it off.
    """
    return _open(
        os.environ.get("ROT180_CACHE_DIR", ""), os.environ.get("ROT180_CACHE", "")
    )


def cache_info() -> CacheInfo:
    """Return where the disk cache is, how much it holds, or why it is not used."""
    return object_cache().info()


@cache
def _open(directory: str, switch: str) -> ObjectCache:
    if switch == "0":
        return ObjectCache(None, reason="turned off by ROT180_CACHE=0")
    if directory:
        base = Path(directory)
    else:
        import platformdirs

        try:
            base = Path(platformdirs.user_cache_dir("rot180", appauthor=False))
        except RuntimeError as error:  # no HOME, and no such user, as in a container
            return ObjectCache(None, reason=str(error))
    return ObjectCache(base / "objects")


def _read_private(path: Path) -> bytes | None:
    wanted = ("O_NOFOLLOW", "O_CLOEXEC", "O_NONBLOCK", "O_BINARY")
    flags = os.O_RDONLY
    for name in wanted:
        flags |= getattr(os, name, 0)
    descriptor = os.open(path, flags)
    try:
        status = os.fstat(descriptor)
        if not _is_private(status):
            return None
        if status.st_mtime < time.time() - TOUCH_SECONDS:
            # The age is that of the last use, to the day, where it can be written.
            with suppress(OSError):
                os.utime(path)
        # Of a directory `open` would refuse the descriptor and leave it open.
        with open(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


def _is_private(status: os.stat_result) -> bool:
    writable_by_others = os.name == "posix" and bool(status.st_mode & 0o022)
    return stat.S_ISREG(status.st_mode) and _is_ours(status) and not writable_by_others


def _is_ours(status: os.stat_result) -> bool:
    return not hasattr(os, "geteuid") or status.st_uid == os.geteuid()


def _write_atomically(path: Path, blob: bytes) -> None:
    unique = f"{os.getpid()}-{threading.get_ident()}-{next(_serial)}"
    temporary = path.with_suffix(f".{unique}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        with open(os.open(temporary, flags, 0o600), "wb") as file:
            file.write(blob)
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def _wrap(key: str, code: bytes) -> bytes:
    return FORMAT + bytes.fromhex(key) + hashlib.sha256(code).digest() + code


def _unwrap(key: str, blob: bytes) -> bytes | None:
    code = blob[HEADER_BYTES:]
    return code if code and blob == _wrap(key, code) else None
