"""A small network: forward through its layers to a loss, and back by the chain rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from rot180.errors import ArgumentError
from rot180.explain._equations import Cell, Equation, Term
from rot180.explain._layers import Layer, layer
from rot180.explain._passes import Pass, refuse_size
from rot180.explain._setting import POOL, Setting
from rot180.explain._tensors import Tensor

PARTS: Final = ("conv", *POOL, "relu")
MOST_PARTS: Final = 8
_OUTPUTS: Final = {"conv": "O", "relu": "A", "max_pool": "P", "avg_pool": "P"}


@dataclass(frozen=True, slots=True)
class Network:
    """The layers of a network and its loss.

    Attributes:
        layers: In the order of the forward pass.
        tensors: All that they and the loss read or compute, by name.
        passes: Forward, the loss, and backward.
    """

    layers: tuple[Layer, ...]
    tensors: Mapping[str, Tensor]
    passes: tuple[Pass, ...]


def network(setting: Setting) -> Network:
    """Returns the network that a setting describes.

    Raises:
        Rot180Error: A layer is not known, does not fit, or all are too large.
    """
    layers, tensors = _built(setting)
    last = tensors[layers[-1].forward.out]
    loss = _loss(last, setting)
    tensors |= {name: replace(last, name=name) for name in "TD"}
    tensors |= {"E": Tensor("E", (), ())}
    forward = tuple(part.forward for part in layers)
    backward = tuple(found for part in reversed(layers) for found in part.backward)
    return Network(layers, tensors, (*forward, *loss, *backward))


def _built(setting: Setting) -> tuple[tuple[Layer, ...], dict[str, Tensor]]:
    """Builds layer after layer, for as long as what they hold is not too much."""
    layers, tensors, terms = [], dict[str, Tensor](), 0
    for part in _layers(setting):
        layers.append(part)
        tensors |= part.tensors
        for found in (part.forward, *part.backward):
            terms += sum(len(line.terms) for line in found.equations)
        refuse_size(terms, sum(tensor.size for tensor in tensors.values()))
    return tuple(layers), tensors


def _layers(setting: Setting) -> Iterator[Layer]:
    _check_parts(setting)
    names = _Outputs(Counter(_OUTPUTS[kind] for kind, _ in setting.layers))
    here, size, channels = "X", setting.input, setting.channels[0]
    for kind, window in setting.layers:
        out = names.next(_OUTPUTS[kind])
        letters = {"x": here, "y": out, "w": f"F{out[1:]}", "b": f"b{out[1:]}"}
        part = _part(setting, kind, window, size, channels)
        found = layer(part, letters, setting.hidden)
        yield found
        here, size = out, found.tensors[out].extents
        channels = found.setting.channels[1]


def _check_parts(setting: Setting) -> None:
    known = ", ".join(PARTS)
    for kind, window in setting.layers:
        if kind not in PARTS:
            raise ArgumentError(
                f"explain: layer {kind[:40]!r} of the network is not known\n"
                f"  Use some of {known}."
            )
        if window and kind == "relu":
            raise ArgumentError(
                f"explain: layer relu has no window, not {window}\n  Write relu alone."
            )
        if window and len(window) not in (1, setting.rank):
            raise ArgumentError(
                f"explain: layer {kind} has a window in {len(window)} dimensions, the "
                f"input is in {setting.rank}\n  Write one number for each."
            )
    if len(setting.layers) > MOST_PARTS:
        raise ArgumentError(
            f"explain: {len(setting.layers)} layers, at most {MOST_PARTS} are explained"
            "\n  Leave some out."
        )


class _Outputs:
    """Hands out the names of outputs, numbered where there are several of a kind."""

    def __init__(self, total: Mapping[str, int]) -> None:
        self._total = total
        self._given: Counter[str] = Counter()

    def next(self, letter: str) -> str:
        self._given[letter] += 1
        return letter if self._total[letter] == 1 else f"{letter}{self._given[letter]}"


def _part(
    setting: Setting,
    kind: str,
    window: tuple[int, ...],
    size: tuple[int, ...],
    channels: int,
) -> Setting:
    """Returns one layer's setting; the network's options are its convolutions'."""
    rank = setting.rank
    window = window * rank if len(window) == 1 else window
    if kind == "conv":
        return replace(
            setting,
            layer=kind,
            input=size,
            kernel=window or setting.kernel,
            channels=(channels, setting.channels[1]),
        )
    kernel = window or (2,) * rank
    return replace(
        setting,
        layer=kind,
        input=size,
        kernel=kernel,
        stride=kernel,
        padding=((0, 0),) * rank,
        dilation=(1,) * rank,
        channels=(channels, channels),
    )


def _loss(last: Tensor, setting: Setting) -> tuple[Pass, ...]:
    """`E = (sum of D*D) / 2`, `D` the difference from the target, and its gradient."""
    differences, squares, slopes = [], [], []
    for cell in last.cells():
        target, difference = Cell("T", cell.at), Cell("D", cell.at)
        terms = (Term((cell,)), Term((target,), sign=-1))
        differences.append(Equation(difference, terms))
        squares.append(Term((difference, difference), over=2))
        slopes.append(Equation(Cell(f"d{last.name}", cell.at), (Term((difference,)),)))
    at = last.indices(setting.hidden)
    over = f" for {at[1:-1]}" if at else ""
    loss = Equation(Cell("E", ()), tuple(squares))
    minus = f"D{at} = {last.name}{at} - T{at}"
    return (
        Pass("difference", "loss", "D", (last.name, "T"), (minus,), tuple(differences)),
        Pass("loss", "loss", "E", ("D",), (f"E += D{at} * D{at} / 2{over}",), (loss,)),
        Pass("loss_grad", "loss", f"d{last.name}", ("D",),
             (f"d{last.name}{at} = D{at}",), tuple(slopes)),
    )  # fmt: skip
