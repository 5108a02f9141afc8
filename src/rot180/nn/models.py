"""Networks ready to train."""

from rot180.nn._conv_layers import Conv2d
from rot180.nn._layers import Flatten, Linear, ReLU, Sequential
from rot180.nn._norm_layers import BatchNorm2d
from rot180.nn._pool_layers import MaxPool2d

__all__ = ["DigitsNet", "LeNet"]


class DigitsNet(Sequential):
    """Three convolutions with batch normalisation, for 8x8 images.

    Takes `(n, 1, 8, 8)` and returns `(n, classes)` logits.

    Args:
        width: Channels of the first convolution; the next have twice and four times
            as many.
        classes: Number of classes.

    Example:
        >>> from rot180 import nn
        >>> net = nn.models.DigitsNet()
        >>> net.names()[:2]
        ['0.weight', '1.weight']
    """

    def __init__(self, width: int = 16, classes: int = 10) -> None:
        super().__init__(
            *_block(1, width),
            *_block(width, 2 * width),
            MaxPool2d(2),
            *_block(2 * width, 4 * width),
            Flatten(),
            Linear(4 * width * 4 * 4, classes),
        )


class LeNet(Sequential):
    """LeNet-5 with ReLU and maximum pooling, for 28x28 images.

    Takes `(n, 1, 28, 28)` and returns `(n, classes)` logits.

    Source: LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to
    document recognition", 1998.

    Args:
        classes: Number of classes.

    Example:
        >>> from rot180 import nn
        >>> len(nn.models.LeNet().names())
        10
    """

    def __init__(self, classes: int = 10) -> None:
        super().__init__(
            Conv2d(1, 6, 5, padding=2),
            ReLU(),
            MaxPool2d(2),
            Conv2d(6, 16, 5),
            ReLU(),
            MaxPool2d(2),
            Flatten(),
            Linear(16 * 5 * 5, 120),
            ReLU(),
            Linear(120, 84),
            ReLU(),
            Linear(84, classes),
        )


def _block(channels: int, out: int) -> tuple[Conv2d, BatchNorm2d, ReLU]:
    return Conv2d(channels, out, 3, padding=1, bias=False), BatchNorm2d(out), ReLU()
