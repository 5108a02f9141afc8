"""Write the README's table of measurements from the stored results.

    python -m benchmarks.table

Nothing in the table is typed by hand: the rows are those of `ROWS`, the figures those
of `results/core.json` and `results/small.json`.
"""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
BEGIN, END = "<!-- measurements: begin -->", "<!-- measurements: end -->"

# Case, pass, and how a reader would name it.
ROWS = (
    (
        "depthwise3x3.96",
        "forward",
        "depthwise 3x3, 8 x 96 x 112 x 112, forward",
    ),
    (
        "depthwise7x7.96",
        "weight",
        "depthwise 7x7, 8 x 96 x 56 x 56, weight gradient",
    ),
    ("dense3x3.512", "forward", "3x3, 8 x 512 x 7 x 7, forward"),
)
SMALL = ("both gradients", "2x2, 1 x 1 x 3 x 3, both gradients")


def table() -> str:
    """Return the measurements as a Markdown table."""
    core, small = _load("core"), _load("small")
    found = {(row["case"], row["pass"]): row for row in core["rows"]}
    lines = [
        "| float32, one thread | rot180 | PyTorch, its better layout |",
        "| --- | ---: | ---: |",
        *(_row(found[case, which], text) for case, which, text in ROWS),
        _small_row(small["seconds"]),
    ]
    cpu, peak = core["machine"]["cpu"], core["peak"]
    note = (
        f"One core of {cpu} (peak {peak:.0f} GFLOP/s), PyTorch "
        f"{core['versions']['torch']}, medians of alternating runs by `make bench`."
    )
    return "\n".join([*lines, "", note])


def has_results() -> bool:
    """Return whether there is anything to make a table of."""
    return all((RESULTS / f"{name}.json").exists() for name in ("core", "small"))


def _load(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def _row(row: dict[str, Any], text: str) -> str:
    seconds = row["seconds"]
    rival = min(s for name, s in seconds.items() if name.startswith("torch"))
    return _line(text, seconds["ours channels_last"] * 1e3, rival * 1e3, "ms")


def _small_row(seconds: dict[str, float]) -> str:
    which, text = SMALL
    return _line(
        text, seconds[f"ours {which}"] * 1e6, seconds[f"torch {which}"] * 1e6, "us"
    )


def _line(text: str, ours: float, rival: float, unit: str) -> str:
    cells = [f"{ours:.3g} {unit}", f"{rival:.3g} {unit}"]
    quicker = 0 if ours <= rival else 1
    cells[quicker] = f"**{cells[quicker]}**"
    return f"| {text} | {cells[0]} | {cells[1]} |"


def rewrite(text: str, inner: str) -> str:
    """Return `text` with what stands between the two marks replaced by `inner`."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    lines = "\n".join([BEGIN, *filter(None, [inner]), END])
    return f"{head}{lines}{tail}"


def main() -> None:
    """Rewrite the table in README.md."""
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    readme.write_text(rewrite(text, table()), encoding="utf-8")


if __name__ == "__main__":
    main()
