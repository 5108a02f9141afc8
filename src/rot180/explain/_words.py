"""What a pass does, in sentences: English and simplified Chinese."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from rot180 import ops
from rot180.errors import ArgumentError
from rot180.explain._passes import Pass
from rot180.explain._setting import CONV
from rot180.explain._slide import Slide, Track, planes_read
from rot180.notation import dual

if TYPE_CHECKING:
    from rot180.explain._explained import Explained

Language: TypeAlias = Literal["en", "zh"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)

_COMMAS: Final[dict[Language, str]] = {"en": ", ", "zh": "，"}
# By key: English, Chinese.  `{...}` is filled in.
_SENTENCES: Final[dict[str, tuple[str, str]]] = {
    # What slides over what.
    "slides": (
        "{slider}{how} slides over {base}{ground}{steps}; each number of {out} is the "
        "sum of the products that lie on each other.",
        "{slider}{how} 在 {base}{ground} 上滑动{steps}；{out} 的每个数等于"
        "重叠位置的乘积之和。",
    ),
    "window": (
        "A window of {size}{how} moves over {base}{ground}{steps}.",
        "{size} 的窗口{how}在 {base}{ground} 上移动{steps}。",
    ),
    "rotated": ("rotated by 180 degrees", "旋转 180 度"),
    "reversed": ("reversed", "左右翻转"),
    "turned.rotated": ("rotated", "旋转"),
    "turned.reversed": ("reversed", "翻转"),
    "apart": ("its numbers {n} apart", "相邻元素间隔 {n}"),
    "spread": ("its numbers {n} apart, zeros between", "相邻元素间隔 {n}，其间补零"),
    "padded": ("padded by {sides}", "填充 {sides}"),
    "cropped": ("cropped by {sides}", "裁剪 {sides}"),
    "padded_or_cropped": (
        "padded by {sides}, where negative means cropped",
        "填充 {sides}，负数表示裁剪",
    ),
    "sides": ("{before} before and {behind} behind", "前 {before} 后 {behind}"),
    "each": (
        "{rows} in rows and {columns} in columns",
        "行方向 {rows}、列方向 {columns}",
    ),
    "moving": (", moving by {n}", "，每次移动 {n}"),
    "backwards": (", moving backwards by {n}", "，反向移动，每次 {n}"),
    # As which convolution.
    "correlates": (
        "{out} is the correlation of {base} with {slider}.",
        "{out} 是 {base} 与 {slider} 的互相关。",
    ),
    "true": (
        "{out} is the true convolution of {base} with {slider}: the correlation with "
        "the {turned} filter.",
        "{out} 是 {base} 与 {slider} 的严格意义上的卷积，即与{turned}后的卷积核"
        "的互相关。",
    ),
    "scatters": (
        "The transposed convolution is the input gradient of a convolution, used "
        "forward: each number of X lays a copy of F, multiplied by it, over O.",
        "转置卷积就是把普通卷积的输入梯度用作前向：X 的每个数把乘以它的 F "
        "叠加到 O 上。",
    ),
    "gathers": (
        "Backward it is a convolution: {out} correlates {base} with {slider}.",
        "它的反向就是普通卷积：{out} 是 {base} 与 {slider} 的互相关。",
    ),
    "gathers_true": (
        "Backward it is a convolution: {out} is the true convolution of {base} with "
        "{slider}.",
        "它的反向就是普通卷积：{out} 是 {base} 与 {slider} 的严格意义上的卷积。",
    ),
    "filter": (
        "{out} correlates {base} with {slider}{stride}{dilation}.",
        "{out} 是 {base} 与 {slider} 的互相关{stride}{dilation}。",
    ),
    "filter.stride": (" dilated by the stride {n}", "，{slider} 按步幅 {n} 膨胀"),
    "filter.dilation": (", stepping by the dilation {n}", "，按空洞率 {n} 移动"),
    "filter_flipped": (
        "Because the filter was {turned} in the forward pass, {out} comes out "
        "{turned}: the slide gives its last number first.",
        "因为前向传播时卷积核{turned}过，{out} 也是{turned}过的：滑动先得到"
        "它的最后一个数。",
    ),
    "full": (
        "{out} is the full correlation of {base} with the {turned} {slider}, which is "
        "the full true convolution with {slider} as it is.",
        "{out} 是 {base} 与{turned}后的 {slider} 的完全（full）互相关，也就是与"
        "未{turned}的 {slider} 的完全卷积。",
    ),
    "full_unturned": (
        "{out} is the full correlation of {base} with {slider}.",
        "{out} 是 {base} 与 {slider} 的完全（full）互相关。",
    ),
    "input": (
        "{out} slides the {turned} filter{dilation} over {base}{stride}{padding}.",
        "{out}：{turned}后的卷积核{dilation}在 {base}{stride} 上滑动{padding}。",
    ),
    "input_unturned": (
        "{out} slides the filter{dilation} over {base}{stride}{padding}.",
        "{out}：卷积核{dilation}在 {base}{stride} 上滑动{padding}。",
    ),
    "input.dilation": (", dilated by {n},", "（按空洞率 {n} 膨胀）"),
    "input.stride": (" dilated by the stride {n}", "（按步幅 {n} 膨胀）"),
    "input.padding": (", cropped by the padding {n}", "，再按填充 {n} 裁剪"),
    "input_flipped": (
        "Because the filter was {turned} in the forward pass, {out} uses it as it is.",
        "因为前向传播时卷积核{turned}过，{out} 使用未{turned}的卷积核。",
    ),
    "cut_off": (
        "What the negative padding cuts off {of} is not read, so {out} is 0 there.",
        "负填充裁掉的 {of} 的元素没有被读取，所以 {out} 在那里为 0。",
    ),
    "summed": (
        "There are several channels or images: what such slidings give is added up.",
        "有多个通道或图像：各次滑动所得相加。",
    ),
    "scattered": (
        "{out} adds up what the formula scatters to it; no single sliding does that.",
        "{out} 是公式散布到各处的数之和，无法用一次滑动完成。",
    ),
    # Other layers.
    "bias": (
        "The bias was added at every position, so {out} is the sum of {base}.",
        "偏置加在每个位置上，所以 {out} 是 {base} 的元素之和。",
    ),
    "max": (
        "The greatest number of each window stands; of equal ones the first.",
        "取每个窗口中的最大值；相等时取第一个。",
    ),
    "max_outside": (
        "Outside {base} stands -inf, which is never greater than a number.",
        "{base} 之外是 -inf，它不大于任何数。",
    ),
    "max_grad": (
        "Each number of {base} goes to where its window's greatest number stood; where "
        "windows overlap, what comes adds up.",
        "{base} 的每个数传给其窗口最大值所在的位置；窗口重叠处相加。",
    ),
    "mean": (
        "Each number of {out} is the mean of its window.",
        "{out} 的每个数是其窗口的平均值。",
    ),
    "mean_grad": (
        "Each number of {base} is shared evenly among the cells of its window.",
        "{base} 的每个数平均分给其窗口中的各元素。",
    ),
    "relu": ("Negative numbers become 0.", "负数变为 0。"),
    "relu_grad": (
        "{base} passes where {at} is positive, and nowhere else.",
        "{base} 仅在 {at} 为正的位置通过，其余为 0。",
    ),
    "difference": (
        "How far the network's output is from the target T.",
        "网络输出与目标 T 之差。",
    ),
    "loss": ("The error: half the sum of the squares.", "误差：平方和的一半。"),
    "loss_grad": (
        "The derivative of half a square is what was squared: {out} = D.",
        "平方的一半的导数就是被平方的数：{out} = D。",
    ),
    "chain": (
        "By the chain rule, {out} = dE/d{of} is made of dE/d{through} and of how "
        "{through} depends on {of}.",
        "由链式法则，{out} = dE/d{of} 由 dE/d{through} 以及 {through} 对 {of} 的导数"
        "得到。",
    ),
    "formula": (
        "In rot180's notation, whose indices count from 0:",
        "用 rot180 的记号（下标从 0 开始）：",
    ),
    "from_zero": ("   (indices from 0)", "   （下标从 0 开始）"),
    "gathered": (
        "Gathered, as rot180 compiles it:",
        "改写为收集的形式，即 rot180 所编译的：",
    ),
    # On a terminal.
    "more": (
        "... and {n} more; --pass {option} shows them all, --cell {cell} a single one.",
        "…… 还有 {n} 个；--pass {option} 显示全部，--cell {cell} 显示单个。",
    ),
    "cut": (
        "Cut at the width of the terminal; a wider one, or a pipe, has it whole.",
        "已按终端宽度截断；加宽终端或用管道输出可看到全部。",
    ),
    "keys": ("Enter goes on, b back, q ends.", "回车继续，b 后退，q 结束。"),
    "with": (", with {name}", "，含 {name}"),
    "lying.rotated": ("{name} rotated", "旋转后的 {name}"),
    "lying.reversed": ("{name} reversed", "翻转后的 {name}"),
    # Titles.
    "title.forward": ("forward: {out}", "前向传播：{out}"),
    "title.weight_grad": (
        "backward: {out}, the gradient of the filter",
        "反向传播：{out}，卷积核的梯度",
    ),
    "title.bias_grad": (
        "backward: {out}, the gradient of the bias",
        "反向传播：{out}，偏置的梯度",
    ),
    "title.input_grad": (
        "backward: {out}, the gradient of the input",
        "反向传播：{out}，输入的梯度",
    ),
    "title.difference": ("loss: the difference {out}", "损失：差 {out}"),
    "title.loss": ("loss: the error {out}", "损失：误差 {out}"),
    "title.loss_grad": (
        "backward: {out}, the gradient of the error",
        "反向传播：{out}，误差的梯度",
    ),
    "layer.conv": ("convolution", "卷积"),
    "layer.conv_transpose": ("transposed convolution", "转置卷积"),
    "layer.max_pool": ("max pooling", "最大池化"),
    "layer.avg_pool": ("average pooling", "平均池化"),
    "layer.relu": ("ReLU", "ReLU"),
    "layer.loss": ("loss", "损失"),
    "layer.network": ("network", "网络"),
}


def sentence(key: str, language: Language) -> str:
    """Returns a sentence of the table in a language, not yet filled in."""
    if not ops.is_among(language, LANGUAGES):
        raise ArgumentError(
            f"explain: language is {str(language)[:40]!r}\n"
            f"  Use one of {', '.join(LANGUAGES)}."
        )
    return _SENTENCES[key][LANGUAGES.index(language)]


def say(key: str, language: Language, **filled: object) -> str:
    """Returns a sentence of the table in a language."""
    text = sentence(key, language).format(**filled)
    return text.replace("） ", "）")


def title(part: Pass, found: Explained, language: Language = "en") -> str:
    """Returns what a pass computes: `backward: dF, the gradient of the filter`."""
    text = say(f"title.{part.name}", language, out=part.out)
    if found.setting.layer != "network" or part.layer == "loss":
        return text
    comma = _COMMAS[language]
    return f"{say(f'layer.{part.layer}', language)}{comma}{text}"


def formulas_of(part: Pass) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yields the key of what is said of formulas in rot180's notation, and these."""
    yield "formula", part.formulas
    if part.gathered:
        yield "gathered", part.gathered


def sentences(
    part: Pass, found: Explained, language: Language = "en"
) -> tuple[str, ...]:
    """Returns what a pass does: what slides over what, as which convolution."""
    return tuple(_sentences(part, found, language))


def _sentences(part: Pass, found: Explained, language: Language) -> Iterator[str]:
    if part.layer in CONV and part.name != "bias_grad":
        yield from _convolution(part, language)
        yield from _summed(part, found, language)
    elif part.slide is not None:
        yield _sliding("window", part, part.slide, language)
    yield from _other(part, language)
    is_chained = part.name.endswith("_grad") and part.name != "loss_grad"
    if found.setting.layer == "network" and is_chained:
        yield _chain(part, language)


def _convolution(part: Pass, language: Language) -> Iterator[str]:
    slid = part.slide
    if slid is None:
        yield say("scattered", language, out=part.out)
        return
    yield _sliding("slides", part, slid, language)
    for key in _kinds(part, slid):
        words = {"out": part.out, "of": dual(part.out), "base": slid.base}
        words["slider"] = slid.slider or ""
        words["turned"] = say(f"turned.{turn(slid)}", language)
        yield say(key, language, **words, **_steps_of(key, part, words, language))


def _steps_of(
    key: str, part: Pass, words: dict[str, str], language: Language
) -> dict[str, str]:
    """What a sentence says of stride, dilation and padding: of plain ones nothing."""
    assert part.window is not None, part.name
    window, said = part.window, {}
    family = key.partition("_")[0]
    for name, plain in (("stride", 1), ("dilation", 1), ("padding", 0)):
        steps = getattr(window, name)
        sides = (
            [side for pair in steps for side in pair] if name == "padding" else steps
        )
        is_said = f"{family}.{name}" in _SENTENCES and max(sides) > plain
        text = _each([_simple(step, language) for step in steps], language)
        said[name] = (
            say(f"{family}.{name}", language, n=text, **words) if is_said else ""
        )
    return said


def _kinds(part: Pass, slid: Slide) -> Iterator[str]:
    """The keys of the sentences that say as which convolution a pass is."""
    steps = [(t.base_step, t.tap_step, abs(t.step)) for t in slid.tracks]
    is_plain = set(steps) == {(1, 1, 1)}
    is_transposed = part.layer == "conv_transpose"
    assert part.window is not None, part.name
    is_flipped = part.window.flip and any(t.taps > 1 for t in slid.tracks)
    if part.name == "weight_grad":
        yield "correlates" if is_plain else "filter"
        yield from ["filter_flipped"] if any(t.step < 0 for t in slid.tracks) else []
    elif is_transposed and part.name == "forward":
        yield "scatters"
    elif is_transposed:
        yield "gathers_true" if slid.turns else "gathers"
    elif part.name == "forward":
        yield "true" if slid.turns else "correlates"
    else:
        yield from ["input_flipped"] if is_flipped else []
        is_full = is_plain and all(t.padding == (t.taps - 1,) * 2 for t in slid.tracks)
        kind = "full" if is_full else "input"
        yield kind if slid.turns else f"{kind}_unturned"
        is_cut = min(min(sides) for sides in part.window.padding) < 0
        yield from ["cut_off"] if is_cut else []


def _summed(part: Pass, found: Explained, language: Language) -> Iterator[str]:
    """That several slidings are added up, where a number reads several planes."""
    base = None if part.slide is None else found.tensors[part.slide.base]
    if base is None or len(list(base.planes())) == 1:
        return
    if any(len(planes_read(base, equation)) > 1 for equation in part.equations):
        yield say("summed", language)


def _sliding(key: str, part: Pass, slid: Slide, language: Language) -> str:
    tracks = slid.tracks
    pads = [track.padding for track in tracks]
    if part.window is not None and _lies_padded(part):
        pads = list(part.window.padding)
    return say(
        key,
        language,
        out=part.out,
        slider=slid.slider,
        size="x".join(str(track.taps) for track in tracks),
        how=_aside(_how(slid, language), language),
        base=slid.base,
        ground=_aside(_ground(tracks, pads, language), language),
        steps=_steps(tracks, language),
    )


def _lies_padded(part: Pass) -> bool:
    """Whether the base is what the layer pads, so that the padding is as given."""
    scatters = "forward" if part.layer == "conv_transpose" else "input_grad"
    return part.name != scatters


def _how(slid: Slide, language: Language) -> Iterator[str]:
    if slid.turns:
        yield say(turn(slid), language)
    steps = [track.tap_step for track in slid.tracks]
    if max(steps) > 1:
        yield say("apart", language, n=_each(steps, language))


def turn(slid: Slide) -> Literal["rotated", "reversed"]:
    """Returns what turning by 180 degrees is: a row of numbers is reversed."""
    return "rotated" if len(slid.tracks) > 1 else "reversed"


def _ground(
    tracks: Sequence[Track], pads: Sequence[tuple[int, int]], language: Language
) -> Iterator[str]:
    steps = [track.base_step for track in tracks]
    if max(steps) > 1:
        yield say("spread", language, n=_each(steps, language))
    sides = [side for pair in pads for side in pair]
    if not any(sides):
        return
    key = "padded_or_cropped" if min(sides) < 0 else "padded"
    if max(sides) <= 0:
        key, pads = "cropped", [(-low, -high) for low, high in pads]
    said = _each([_simple(pair, language) for pair in pads], language)
    yield say(key, language, sides=said)


def _steps(tracks: Sequence[Track], language: Language) -> str:
    steps = [track.step for track in tracks]
    size = _each([abs(step) for step in steps], language)
    if min(steps) < 0:
        return say("backwards", language, n=size)
    return say("moving", language, n=size) if max(steps) > 1 else ""


def _aside(parts: Iterable[str], language: Language) -> str:
    """Returns what is said by the way, in parentheses."""
    text = _COMMAS[language].join(parts)
    if not text:
        return ""
    return f" ({text})" if language == "en" else f"（{text}）"


def _simple(step: int | tuple[int, int], language: Language) -> object:
    """A number, or two sides: one number where they are the same."""
    if isinstance(step, int):
        return step
    before, behind = step
    if before == behind:
        return before
    return say("sides", language, before=before, behind=behind)


def _each(values: Sequence[object], language: Language) -> str:
    """`2` where it is the same in rows and columns, else `2 in rows, 1 in columns`."""
    if len(set(values)) == 1:
        return str(values[0])
    rows, columns = values
    return say("each", language, rows=rows, columns=columns)


_OTHERS: Final = {
    ("max_pool", "forward"): "max",
    ("max_pool", "input_grad"): "max_grad",
    ("avg_pool", "forward"): "mean",
    ("avg_pool", "input_grad"): "mean_grad",
    ("relu", "forward"): "relu",
    ("relu", "input_grad"): "relu_grad",
    ("loss", "difference"): "difference",
    ("loss", "loss"): "loss",
    ("loss", "loss_grad"): "loss_grad",
    ("conv", "bias_grad"): "bias",
    ("conv_transpose", "bias_grad"): "bias",
}


def _other(part: Pass, language: Language) -> Iterator[str]:
    key = _OTHERS.get((part.layer, part.name))
    if key is not None:
        words = {"out": part.out, "base": part.operands[0], "at": part.operands[-1]}
        yield say(key, language, **words)
    slid = part.slide
    if key == "max" and slid is not None and any(None in t.reads for t in slid.tracks):
        yield say("max_outside", language, base=slid.base)


def _chain(part: Pass, language: Language) -> str:
    """Through which tensor the error depends on what the gradient is of."""
    through = next(name for name in part.operands if dual(name) == name[1:])
    of = dual(part.out)
    return say("chain", language, out=part.out, of=of, through=dual(through))
