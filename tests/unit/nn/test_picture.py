"""A network printed is a picture of it."""

from rot180 import nn

PICTURE = """\
Sequential                                                                184 parameters
├─ 0  Sequential                                                          24
│  ├─ 0  Conv2d(1, 4, (3, 1), padding=1)  weight (4, 1, 3, 1)  bias (4,)  16
│  └─ 1  BatchNorm2d(4)                   weight (4,)  bias (4,)          8
├─ 1  Flatten()
└─ 2  Linear(16, 10, bias=False)          weight (10, 16)                 160"""


def test_a_network_prints_as_a_tree() -> None:
    block = nn.Sequential(nn.Conv2d(1, 4, (3, 1), padding=1), nn.BatchNorm2d(4))
    net = nn.Sequential(block, nn.Flatten(), nn.Linear(16, 10, bias=False))
    assert repr(net) == PICTURE


def test_a_notebook_shows_the_tree_as_it_is() -> None:
    net = nn.Sequential(nn.Flatten())
    assert net._repr_html_() == f"<pre>{net!r}</pre>"


def test_a_network_of_ones_own_prints_too() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            self.first = nn.Linear(2, 3)

        def forward(self, scope: nn.Scope, x: object) -> object:
            return scope(self.first, x)

    head, row = repr(Own()).splitlines()
    assert head.split() == ["Own", "9", "parameters"]
    assert "first  Linear(2, 3)" in row
