"""What the page says: labels, hints and messages, in English and simplified Chinese."""

from __future__ import annotations

from typing import Final

from rot180.explain._setting import LAYERS
from rot180.explain._words import LANGUAGES, Language, sentence

# By key: English, Chinese.
_TEXTS: Final[dict[str, tuple[str, str]]] = {
    "title": (
        "Back-propagation through a convolution",
        "卷积的反向传播",
    ),
    "subtitle": (
        "Every number of the forward and the backward pass, from the formulas that "
        "rot180's kernels are compiled from.",
        "前向传播和反向传播的每一个数，均出自 rot180 编译内核所用的公式。",
    ),
    "settings": ("What is explained", "设置"),
    "saved": (
        "This is a saved page: the numbers can be changed, the parameters not. For "
        "others run",
        "这是保存的页面：数值可以修改，参数不能修改。要改参数，请运行",
    ),
    "passes": ("Passes", "前向与反向步骤"),
    "tensors": ("All numbers", "全部数值"),
    "tensors.letters": (
        "Point at any cell to see what it is made of, or what it feeds.",
        "指向任意格子，可看到它由哪些数算出、影响哪些数。",
    ),
    "file": (
        "FILE holds the numbers as they are here, written by numpy.savez under the "
        "names of their tensors.",
        "FILE 是用 numpy.savez 按张量的名称保存的这些数。",
    ),
    "tensors.hint": (
        "Type into the cells of {given}. Point at any cell to see what it is made of, "
        "or what it feeds.",
        "可在 {given} 的格子中输入。指向任意格子，可看到它由哪些数算出、影响哪些数。",
    ),
    "stage": ("What slides", "滑动过程"),
    "equation": ("How this number is made", "该数的计算过程"),
    "code": ("The same in code", "对应的代码"),
    "copy": ("Copy", "复制"),
    "copied": ("Copied", "已复制"),
    "copy.failed": ("Could not copy; select the text.", "无法复制，请手动选择文本。"),
    "first": ("First", "第一步"),
    "back": ("Back", "后退"),
    "play": ("Play", "播放"),
    "pause": ("Pause", "暂停"),
    "reverse": ("Play backwards", "倒放"),
    "next": ("Next", "前进"),
    "last": ("Last", "最后一步"),
    "timeline": ("Step", "步骤"),
    "step": ("step {n} of {of}", "第 {n} 步，共 {of} 步"),
    "speed": ("Speed", "速度"),
    "language": ("Language", "语言"),
    "theme": ("Colours", "配色"),
    "theme.auto": ("as the system", "跟随系统"),
    "theme.light": ("light", "浅色"),
    "theme.dark": ("dark", "深色"),
    "count": ("Count from", "下标起点"),
    "show": ("Cells show", "格子显示"),
    "show.numbers": ("numbers", "数"),
    "show.letters": ("letters", "字母"),
    "random": ("New numbers", "换一组数值"),
    "outside": ("{value}: padding", "{value}：填充"),
    "gap": ("{value}: between numbers", "{value}：间隔"),
    "cell": ("{label}, {value}", "{label}，{value}"),
    "edit": ("{label}, type a number", "{label}，请输入数"),
    "invalid": (
        "{label}: {text} is not a number up to 1000000000.",
        "{label}：{text} 不是绝对值不超过 1000000000 的数。",
    ),
    "offline": (
        "The server does not answer: {reason}. Does rot180 explain --serve still run?",
        "服务器没有响应：{reason}。rot180 explain --serve 还在运行吗？",
    ),
    "took": (
        "[{of} ← {cell}] is 1 where {of} took {cell}, else 0.",
        "当 {of} 取自 {cell} 时 [{of} ← {cell}] 为 1，否则为 0。",
    ),
    "feeds": ("{label} feeds {list}.", "{label} 影响 {list}。"),
    "nothing": ("No product goes there: it is 0.", "没有乘积落在这里：它是 0。"),
    "legend.fed": ("is fed", "受影响"),
    "keys": ("Keyboard", "键盘"),
    "keys.text": (
        "Arrows move between cells, in the step line from step to step. "
        "P plays and pauses, N and B go on and back, "
        "1 to 9 choose a pass, 0 the tenth, L changes the language, C the colours.",
        "方向键在格子之间移动，在步骤条上逐步移动。P 播放或暂停，N 前进，B 后退，"
        "1 到 9 选择步骤，0 选择第十个，L 切换语言，C 切换配色。",
    ),
    "keys.on": ("Letters and digits act", "启用字母和数字键"),
    "command": ("On the command line", "命令行"),
    "rows": ("rows", "行"),
    "columns": ("columns", "列"),
    "before": ("{side}, before", "{side}前"),
    "behind": ("{side}, behind", "{side}后"),
    "in": ("in", "输入"),
    "out": ("out", "输出"),
    "numbers": ("by numbers", "按数值"),
    "still": (
        "What is shown is still {command}",
        "当前显示的仍然是 {command}",
    ),
    "unknown": (
        "The address has {name}={text}, which this page does not have.",
        "地址中的 {name}={text} 在本页面中不存在。",
    ),
    "dimensions": ("Dimensions", "维数"),
    "source": (
        "After the article “Forward And Backpropagation in Convolutional Neural "
        "Network” by 2017csm1006.",
        "源自 2017csm1006 的文章 Forward And Backpropagation in Convolutional Neural "
        "Network。",
    ),
    # Parameters.
    "parameter.layer": ("Layer", "层"),
    "parameter.layers": ("Layers", "各层"),
    "parameter.input": ("Input X", "输入 X"),
    "parameter.kernel": ("Filter F or window", "卷积核 F 或窗口"),
    "parameter.stride": ("Stride", "步幅"),
    "parameter.padding": ("Padding", "填充"),
    "parameter.padding_mode": ("Padding mode", "填充方式"),
    "parameter.dilation": ("Dilation", "空洞率"),
    "parameter.output_padding": ("Output padding", "输出填充"),
    "parameter.channels": ("Channels", "通道数"),
    "parameter.groups": ("Groups", "分组数"),
    "parameter.images": ("Images", "图像数"),
    "parameter.bias": ("Bias b", "偏置 b"),
    "parameter.flip": ("True convolution (flip)", "严格意义上的卷积（翻转）"),
    "parameter.ceil_mode": ("Windows may overhang", "窗口可超出边界"),
    "parameter.count_include_pad": ("Padding counts", "填充计入平均"),
    "parameter.layout": ("Layout", "布局"),
    # Words of choices.
    "choice.channels_first": ("channels first", "通道在前"),
    "choice.channels_last": ("channels last", "通道在后"),
    "choice.zeros": ("zeros", "零"),
}


def texts() -> dict[Language, dict[str, str]]:
    """Returns all texts, by language and key."""
    of_words = {"formula": "formula", "gathered": "gathered"}
    of_words |= {f"lying.{turn}": f"lying.{turn}" for turn in ("rotated", "reversed")}
    of_words |= {f"choice.{layer}": f"layer.{layer}" for layer in LAYERS}
    return {
        language: {key: both[i] for key, both in _TEXTS.items()}
        | {key: sentence(of, language) for key, of in of_words.items()}
        for i, language in enumerate(LANGUAGES)
    }
