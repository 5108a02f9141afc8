"""Blocks of text for a terminal: grids of numbers, laid side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from rich.cells import cell_len
from rich.text import Text

# What is written, and rich's style for it.
Entry: TypeAlias = tuple[str, str]
_GAP = 4


@dataclass(frozen=True, slots=True)
class Block:
    """Lines of text of one width."""

    lines: tuple[Text, ...]

    @property
    def width(self) -> int:
        """In columns of the terminal."""
        return max((line.cell_len for line in self.lines), default=0)

    def line(self, number: int) -> Text:
        """Returns a line, filled up with blanks; blanks alone below the last."""
        text = self.lines[number].copy() if number < len(self.lines) else Text()
        text.pad_right(self.width - text.cell_len)
        return text


def grid(caption: str, rows: Sequence[Sequence[Entry]]) -> Block:
    """Returns a caption and, below it, rows of entries in columns, to the right."""
    count = max(map(len, rows), default=0)
    widths = [max(cell_len(row[i][0]) for row in rows) for i in range(count)]
    lines = [Text(caption, "bold")]
    for row in rows:
        line = Text()
        for (entry, style), width in zip(row, widths, strict=True):
            line.append(" " * (width - cell_len(entry) + (1 if line else 0)))
            line.append(entry, style)
        lines.append(line)
    return Block(tuple(lines))


def beside(blocks: Iterable[Block], width: int, across: int = 99) -> Iterator[Text]:
    """Yields the lines of blocks laid side by side, as many as fit.

    Args:
        blocks: The blocks.
        width: Columns of the terminal.
        across: How many blocks may stand side by side.
    """
    left = list(blocks)
    while left:
        row = [left.pop(0)]
        while left and len(row) < across and _width([*row, left[0]]) <= width:
            row.append(left.pop(0))
        for number in range(max(len(block.lines) for block in row)):
            line = Text(" " * _GAP).join(block.line(number) for block in row)
            line.rstrip()
            yield line
        if left:
            yield Text()


def _width(row: Sequence[Block]) -> int:
    return sum(block.width for block in row) + _GAP * (len(row) - 1)
