"""The command line: `rot180 train`, `check`, `explain` and `info`.

Everything heavy is imported inside the commands, so that `--help` answers at once.
"""

import io
import sys

import click

from rot180.cli._check import check
from rot180.cli._explain import explain
from rot180.cli._info import info
from rot180.cli._shared import Commands
from rot180.cli._train import train

__all__ = ["main"]


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="rot180")
def main() -> None:
    """Convolutional networks on the CPU, forward and backward from one definition."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a letter that it lacks is no fault
            stream.reconfigure(errors="backslashreplace")


for command in (train, check, explain, info):
    main.add_command(command)
