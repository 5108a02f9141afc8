"""A chart of a step's time: a bar for each layer, a colour for each pass."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Final

from rot180.errors import MissingPackageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from rot180.functional._step_plan import StepPlan

Rows = dict[str, dict[str, float]]

MOST: Final = 24  # bars that a slide and a phone can show
OTHERS: Final = "others"
# Told apart by brightness too: in print, and by those who do not see colours.
COLOURS: Final = {"forward": "#0b3c6f", "backward": "#e07b00", "update": "#a9b8c4"}
# 1200 pixels wide with letters of 33: a phone shows them a third as large.
WIDTH, DPI, POINTS = 6.0, 200, 12.0


def chart(plan: StepPlan) -> bytes:
    """Returns the chart as PNG.

    Raises:
        MissingPackageError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingPackageError(
            "plan: the chart needs matplotlib, which is not installed\n"
            "  Run: pip install 'rot180[plot]'"
        ) from error
    rows = bars(plan.by_layer())
    figure = Figure(figsize=(WIDTH, 1.9 + 0.3 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    _draw(axes, rows, plan.kinds)
    is_measured = plan.measured is not None
    total = sum(kernel.seconds for kernel in plan.kernels)
    kind = "measured" if is_measured else "predicted"
    axes.set_title(f"{plan.name}: {total * 1e3:.3g} ms {kind}", fontsize=POINTS + 1)
    handles, names = axes.get_legend_handles_labels()
    figure.legend(
        handles,
        names,
        loc="outside lower center",
        ncols=3,
        frameon=False,
        fontsize=POINTS,
    )
    image = BytesIO()
    figure.savefig(image, format="png", dpi=DPI)
    return image.getvalue()


def _draw(axes: Axes, rows: Rows, kinds: Mapping[str, str]) -> None:
    names = [f"{name} {kinds.get(name, '')}".strip() or "no layer" for name in rows]
    left = [0.0] * len(rows)
    for pass_, colour in COLOURS.items():
        widths = [row[pass_] * 1e3 for row in rows.values()]
        axes.barh(range(len(rows)), widths, left=left, color=colour, label=pass_)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    axes.set_yticks(range(len(rows)), names)
    axes.set_xlim(0, 1.04 * max(left) or 1.0)
    axes.invert_yaxis()  # the first layer stands above
    axes.set_xlabel("ms", fontsize=POINTS)
    axes.tick_params(labelsize=POINTS)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(y=0.02)


def bars(rows: Rows) -> Rows:
    """Returns at most `MOST` bars: inner layers join the one that holds them.

    Where the outermost ones are still too many, the shortest become one.
    """
    depth = max(name.count(".") + 1 for name in rows)
    while len(rows) > MOST and depth > 1:
        depth -= 1
        rows = _joined(rows, {n: ".".join(n.split(".")[:depth]) for n in rows})
    if len(rows) <= MOST:
        return rows
    longest = sorted(rows, key=lambda name: -sum(rows[name].values()))[: MOST - 1]
    kept = {n: n if n in longest else OTHERS for n in rows}
    joined = _joined(rows, kept)
    joined[OTHERS] = joined.pop(OTHERS)  # last
    return joined


def _joined(rows: Rows, names: dict[str, str]) -> Rows:
    found: Rows = {}
    for name, row in rows.items():
        total = found.setdefault(names[name], dict.fromkeys(row, 0.0))
        for pass_, seconds in row.items():
            total[pass_] += seconds
    return found
