"""`rot180 info`."""

import platform
from collections.abc import Iterator
from importlib import metadata

import click

from rot180.cli._shared import errors_as_messages, make_console

__all__ = ["info"]


@click.command()
def info() -> None:
    """Show the CPU, threads, kernel cache and versions in use."""
    from rich.table import Table

    with errors_as_messages():
        table = Table.grid(padding=(0, 2))
        for name, value in _facts():
            table.add_row(name, value)
        make_console(highlight=False, soft_wrap=True).print(table)


def _facts() -> Iterator[tuple[str, str]]:
    from rot180 import runtime

    cache = runtime.object_cache().info()
    yield from _processor()
    yield "cores", str(runtime.cpu.available_cores())
    yield "threads", str(runtime.get_num_threads())
    yield "cache", cache.path or f"none: {cache.reason}"
    yield "cached", f"{cache.entries} kernels, {cache.bytes / 1e6:.1f} MB"
    yield "python", f"{platform.python_version()} on {platform.platform()}"
    for package in ("rot180", "numpy", "llvmlite"):
        yield package, _version(package)


def _processor() -> Iterator[tuple[str, str]]:
    """What is known of it: without llvmlite, that nothing is compiled and why."""
    from rot180 import runtime

    try:
        cpu = runtime.cpu.detect()
    except (ImportError, OSError, RuntimeError) as error:
        yield "cpu", f"not known, so nothing is compiled: {error}"
        return
    yield "cpu", f"{cpu.name}, {cpu.family}, {cpu.vector_bytes * 8}-bit vectors"
    yield "lanes", f"{cpu.lanes('float32')} float32, {cpu.lanes('float64')} float64"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
