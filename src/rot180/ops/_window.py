"""The sliding window: stride, dilation, padding, groups, flip, and their arithmetic."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from rot180.errors import ArgumentError, ShapeError
from rot180.ops._formula import conv_formula, explain, parameter, positions, taps
from rot180.ops._numbers import resolve_ints
from rot180.ops._padding import Pairs, check_padding_mode, resolve_padding


@dataclass(frozen=True, slots=True)
class Window:
    """One sliding window, every number resolved: one per spatial dimension.

    Output position `p` and tap `r` meet at input position
    `p*stride + r*dilation - padding[low]`.

    Attributes:
        kernel_size: Number of taps.
        stride: Step between output positions.
        dilation: Step between taps.
        padding: Positions added `(low, high)`; negative ones crop.
        groups: Number of channel groups that do not see each other.
        flip: Whether the filter is read backwards (true convolution).
        mode: What stands at positions outside the input, one of `PADDING_MODES`.
    """

    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: Pairs
    groups: int = 1
    flip: bool = False
    mode: str = "zeros"

    @classmethod
    def make(
        cls,
        op: str,
        kernel_size: Sequence[int],
        *,
        input_size: Sequence[int] | None = None,
        stride: int | Sequence[int] = 1,
        padding: Any = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        flip: bool = False,
        padding_mode: str = "zeros",
    ) -> Window:
        """Resolves the arguments of a public function.

        Args:
            op: The function's name, for messages.
            kernel_size: Taps per spatial dimension; sets the rank.
            input_size: Spatial extents of the input; needed by `"same"` with a stride.
            stride: One int for all dimensions, alone or in a sequence; or one for each.
            padding: An int, alone or in a sequence; one per dimension; `(low, high)`
                per dimension; or `"valid"`, `"same"`, `"same_lower"`, `"full"`,
                `"causal"`.
            dilation: As the stride.
            groups: Number of channel groups.
            flip: Whether the filter is read backwards.
            padding_mode: What stands outside the input.

        Raises:
            ArgumentError: An argument is not of those forms, or not positive.
        """
        kernel = tuple(operator.index(k) for k in kernel_size)
        rank = len(kernel)
        for letter, extent in zip(taps(rank), kernel, strict=True):
            if extent < 1:
                _refuse_kernel(op, kernel, letter)
        if type(flip) is not bool:
            raise ArgumentError(
                f"{op}: flip is {flip!r}, not True or False\n"
                "  flip=True reads the filter backwards (true convolution)."
            )
        check_padding_mode(op, padding_mode)
        steps = _positive(op, "stride", stride, rank)
        dilations = _positive(op, "dilation", dilation, rank)
        (count,) = _positive(op, "groups", groups, 1)
        spans = _spans(kernel, dilations)
        pads = resolve_padding(op, padding, spans, steps, input_size)
        return cls(kernel, steps, dilations, pads, count, flip, padding_mode)

    @property
    def rank(self) -> int:
        """Number of spatial dimensions."""
        return len(self.kernel_size)

    @property
    def span(self) -> tuple[int, ...]:
        """Positions from the first tap to the last, `(kernel_size-1)*dilation + 1`."""
        return _spans(self.kernel_size, self.dilation)

    def output_size(
        self, input_size: Sequence[int], *, op: str = "conv"
    ) -> tuple[int, ...]:
        """Returns the spatial extents of the output: how many windows fit.

        That may be 0 in any dimension.

        Raises:
            ShapeError: The padding crops more than there is.
        """
        padded = self._padded(input_size)
        for dim, extent in enumerate(input_size):
            if padded[dim] < 0 < extent:
                self._refuse_crop(op, dim, extent)
        return tuple(
            max((size - span) // step + 1, 0)
            for size, span, step in zip(padded, self.span, self.stride, strict=True)
        )

    def check_fits(self, input_size: Sequence[int], *, op: str) -> None:
        """Refuses a window larger than an image, where that can only be a mistake.

        Raises:
            ShapeError: A padded extent is neither 0 nor enough for one window.
        """
        for dim, size in enumerate(self._padded(input_size)):
            if 0 < size < self.span[dim] and input_size[dim]:
                self._refuse_output(op, dim, input_size[dim])

    def _padded(self, input_size: Sequence[int]) -> tuple[int, ...]:
        return tuple(
            size + low + high
            for size, (low, high) in zip(input_size, self.padding, strict=True)
        )

    def transposed_output_size(
        self,
        input_size: Sequence[int],
        output_padding: int | Sequence[int] = 0,
        output_size: Sequence[int] | None = None,
        *,
        op: str = "conv_transpose",
    ) -> tuple[int, ...]:
        """Returns the spatial extents that the transposed convolution gives.

        `(input_size-1)*stride + span - low - high + output_padding`, of an input of
        extent 0 at least 0. Several inputs of a strided convolution give one output
        size; `output_padding`, less than the stride or the dilation, or `output_size`
        say which is meant.

        Raises:
            ArgumentError: `output_padding` is out of range, or `output_size` not among
                the possible sizes.
            ShapeError: An extent is negative: more is cropped than there is.
        """
        least = tuple(
            (size - 1) * step + span - low - high
            for size, step, span, (low, high) in zip(
                input_size, self.stride, self.span, self.padding, strict=True
            )
        )
        if output_size is not None:
            least = tuple(
                size if n else max(size, 0)
                for size, n in zip(least, input_size, strict=True)
            )
            extra = self._extra_for(op, least, output_size)
        else:
            extra = resolve_ints(op, "output_padding", output_padding, self.rank)
            self._check_extra(op, extra)
        sizes = tuple(a + b for a, b in zip(least, extra, strict=True))
        for dim, size in enumerate(sizes):
            if size < 0 < input_size[dim]:
                raise ShapeError(
                    f"{op}: output dimension {dim} would have extent {size}\n"
                    f"    (input {input_size[dim]} - 1)*stride {self.stride[dim]}"
                    f" + filter span {self.span[dim]} - padding {self.padding[dim]}"
                    f" + output_padding {extra[dim]} = {size}\n"
                    "  Use less padding, or a larger output_padding."
                )
        return tuple(max(size, 0) for size in sizes)

    def _refuse_crop(self, op: str, dim: int, extent: int) -> NoReturn:
        low, high = self.padding[dim]
        raise ShapeError(
            explain(
                op,
                f"padding ({low}, {high}) crops more than the {extent} positions of x",
                self.formula_text(),
                [("x", 2 + dim)],
                [f"x has spatial extent {extent} in dimension {dim}"],
                f"Crop at most {extent} positions, with less negative padding.",
            )
        )

    def _refuse_output(self, op: str, dim: int, extent: int) -> NoReturn:
        letter = positions(self.rank)[dim]
        low, high = self.padding[dim]
        size = (extent + low + high - self.span[dim]) // self.stride[dim] + 1
        raise ShapeError(
            explain(
                op,
                f"output index '{letter}' has extent {size}",
                self.formula_text(),
                [("y", 2 + dim)],
                [
                    f"the input has {extent + low + high} positions"
                    f" ({extent} and padding {low}, {high})",
                    f"the window spans {self.span[dim]}"
                    f" ({self.kernel_size[dim]} taps, dilation {self.dilation[dim]})",
                ],
                'Pad the input, for example padding="same", or use a smaller window.',
            )
        )

    def _extra_for(
        self, op: str, least: tuple[int, ...], output_size: Sequence[int]
    ) -> tuple[int, ...]:
        wanted = resolve_ints(op, "output_size", output_size, self.rank, repeat=False)
        extra = tuple(a - b for a, b in zip(wanted, least, strict=True))
        limits = self._extra_limits()
        if any(e < 0 or e >= m for e, m in zip(extra, limits, strict=True)):
            largest = tuple(a + m - 1 for a, m in zip(least, limits, strict=True))
            raise ArgumentError(
                f"{op}: output_size {wanted} is not among the possible sizes\n"
                f"    stride {self.stride}, padding {self.padding} and filter span "
                f"{self.span} allow {least} to {largest}\n"
                "  Pass an output_size within these bounds."
            )
        return extra

    def _extra_limits(self) -> tuple[int, ...]:
        return tuple(max(s, d) for s, d in zip(self.stride, self.dilation, strict=True))

    def _check_extra(self, op: str, extra: tuple[int, ...]) -> None:
        limits = self._extra_limits()
        if any(e < 0 or e >= m for e, m in zip(extra, limits, strict=True)):
            raise ArgumentError(
                f"{op}: output_padding {extra} is out of range\n"
                f"    stride is {self.stride}, dilation is {self.dilation}\n"
                "  It must be at least 0 and less than the stride or the dilation."
            )

    def parameters(self) -> dict[str, int]:
        """Returns the values of the formula's parameters, by name."""
        values: dict[str, int] = {}
        for dim, (p, r) in enumerate(
            zip(positions(self.rank), taps(self.rank), strict=True)
        ):
            values[parameter("stride", p, self.rank)] = self.stride[dim]
            values[parameter("dilation", r, self.rank)] = self.dilation[dim]
            values[parameter("pad", p, self.rank)] = self.padding[dim][0]
            if self.flip:
                values[r.upper()] = self.kernel_size[dim]
        return values

    def formula_text(self) -> str:
        """Returns the convolution's formula with the numbers in it, for messages."""
        formula = conv_formula(self.rank, "channels_first", False, self.flip)
        return str(formula.bind(**self.parameters()))


def _spans(kernel: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[int, ...]:
    return tuple((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True))


def _positive(op: str, name: str, value: Any, rank: int) -> tuple[int, ...]:
    """Returns one int per dimension, each at least 1."""
    values = resolve_ints(op, name, value, rank)
    if all(item >= 1 for item in values):
        return values
    if name == "groups":
        raise ArgumentError(
            f"{op}: groups is {values[0]}, which is not positive\n"
            "  groups=1 lets every output channel see every input channel."
        )
    letters = positions(rank) if name == "stride" else taps(rank)
    wrong = [
        parameter(name, letter, rank)
        for letter, item in zip(letters, values, strict=True)
        if item < 1
    ]
    raise ArgumentError(
        explain(
            op,
            f"{name} is not positive",
            str(conv_formula(rank, "channels_first", False, False)),
            wrong,
            [f"{name} is {values}"],
            f"Use a {name} of at least 1 in every dimension.",
        )
    )


def _refuse_kernel(op: str, kernel: tuple[int, ...], letter: str) -> NoReturn:
    rank = len(kernel)
    raise ShapeError(
        explain(
            op,
            f"index '{letter}' has extent {kernel[taps(rank).index(letter)]}",
            str(conv_formula(rank, "channels_first", False, False)),
            [("w", 2 + taps(rank).index(letter))],
            [f"the kernel size is {kernel}"],
            "A window needs at least one tap in every dimension.",
        )
    )
