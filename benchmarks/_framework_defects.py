"""Defects of frameworks in a few lines each, without rot180.

What `rot180 check` finds, a person reduces further: to the framework's own functions.
`bench_frameworks` runs every script in a process of its own and writes what it prints.
"""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from textwrap import shorten

SECONDS = 60


@dataclass(frozen=True, slots=True)
class Defect:
    """What a framework computes wrongly, or cannot, and a script that shows it."""

    framework: str
    text: str
    script: str

    def output(self) -> str:
        """Runs the script; returns what it prints, and how it ended if not well."""
        environment = {"JAX_PLATFORMS": "cpu", "JAX_TRACEBACK_FILTERING": "off"}
        done = subprocess.run(
            [sys.executable, "-c", self.script],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            env=os.environ | environment,
        )
        printed = done.stdout.strip()
        if done.returncode < 0:
            name = signal.Signals(-done.returncode).name
            return f"{printed}\n(the process is killed by {name})".strip()
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1]
            return f"{printed}\n{shorten(last, 160)}".strip()
        return printed


_ONNX = """\
import numpy as np
from onnx import helper
from onnx.reference import ReferenceEvaluator

def run(operator, *arrays, **attributes):
    names = ["x", "w", "b"][: len(arrays)]
    node = helper.make_node(operator, names, ["y"], **attributes)
    operands = dict(zip(names, arrays))
    return ReferenceEvaluator(node).run(None, operands)[0].tolist()

"""
_CONVNET = """\
import numpy as np
from convnet import Conv2D, MaxPool2D, jax_backend

def layer(kernel, padding, w, x, use_fft=True):
    conv = Conv2D(1, kernel, padding=padding, use_bias=False, use_fft=use_fft)
    conv.build(x.shape)
    conv.params["W"] = w
    return conv

"""

DEFECTS = (
    Defect(
        "torch",
        "A window of dilated `max_pool2d` that covers padding alone is given an index "
        "outside the image: here position 6 of 4. The backward pass adds the gradient "
        "there: into another row, into another channel, or behind the tensor's memory. "
        "The forward result, minus infinity, is as documented. `max_pool1d` and "
        "`max_pool3d` do the same.",
        "import torch\n"
        "from torch.nn.functional import max_pool2d\n\n"
        "x = torch.zeros(1, 1, 2, 2)\n"
        "y, index = max_pool2d(x, 2, 1, padding=1, dilation=3, return_indices=True)\n"
        "print(y.flatten().tolist(), index.flatten().tolist())\n",
    ),
    Defect(
        "torch",
        "The same within one image: the gradient of the window in row 0 arrives in row "
        "1. All of `x.grad` should be 0.",
        "import torch\n"
        "from torch.nn.functional import max_pool2d\n\n"
        "x = torch.zeros(1, 1, 2, 3, requires_grad=True)\n"
        "y = max_pool2d(x, (1, 2), 1, padding=(0, 1), dilation=(1, 4))\n"
        "y[:, :, 0].sum().backward()\n"
        "print(y.shape, x.grad.tolist())\n",
    ),
    Defect(
        "torch",
        "The same behind the tensor's memory, which destroys the heap.",
        "import torch\n"
        "from torch.nn.functional import max_pool2d\n\n"
        "for _ in range(2000):\n"
        "    x = torch.zeros(1, 1, 2, 2, requires_grad=True)\n"
        "    max_pool2d(x, 2, 1, padding=1, dilation=3).sum().backward()\n"
        "print('the heap survived')\n",
    ),
    Defect(
        "torch",
        "`avg_pool3d` refuses an input smaller than the kernel although padding makes "
        "up for it; `avg_pool2d`, `avg_pool1d` and `max_pool3d` do not.",
        "import torch\n"
        "from torch.nn.functional import avg_pool2d, avg_pool3d\n\n"
        "print(avg_pool2d(torch.ones(1, 1, 1, 1), 2, 1, padding=1).shape)\n"
        "print(avg_pool3d(torch.ones(1, 1, 1, 1, 1), 2, 1, padding=1).shape)\n",
    ),
    Defect(
        "torch",
        "For no images the double backward does not depend on `dy` in autograd's "
        "graph; `materialize_grads=True` is needed to get the empty gradient.",
        "import torch\n\n"
        "x = torch.ones(0, 1, 3, 3, requires_grad=True)\n"
        "w = torch.ones(1, 1, 2, 2, requires_grad=True)\n"
        "dy = torch.ones(0, 1, 2, 2, requires_grad=True)\n"
        "y = torch.nn.functional.conv2d(x, w)\n"
        "first = torch.autograd.grad(y, (x, w), dy, create_graph=True)\n"
        "print(torch.autograd.grad(first, (dy, x, w), first))\n",
    ),
    Defect(
        "onnx",
        "`ConvTranspose` with groups fails unless every group has one input and one "
        "output channel.",
        _ONNX + 'x = np.ones((1, 4, 1))\nprint(run("ConvTranspose", x, '
        "np.ones((4, 1, 1)), group=2))\n",
    ),
    Defect(
        "onnx",
        "`ConvTranspose` with groups and a bias adds the first number of the bias to "
        "every group. Right is 11 and 21.",
        _ONNX + "x, w, b = np.ones((1, 2, 1)), np.ones((2, 1, 1)), np.array([10.0, 20])"
        '\nprint(run("ConvTranspose", x, w, b, group=2))\n',
    ),
    Defect(
        "onnx",
        "`ConvTranspose` refuses an output padding that is not below the stride, which "
        "the standard admits below the dilation. Right is 1, 0, 1, 0.",
        _ONNX + "x, w = np.ones((1, 1, 1)), np.ones((1, 1, 2))\n"
        'print(run("ConvTranspose", x, w, dilations=[2], output_padding=[1]))\n',
    ),
    Defect(
        "onnx",
        "`ConvTranspose` fails for no images; `Conv` does not.",
        _ONNX + 'print(run("ConvTranspose", np.ones((0, 1, 2)), np.ones((1, 1, 1))))\n',
    ),
    Defect(
        "onnx",
        "`MaxPool` with stride 1 takes the low pads of two dimensions for both pads of "
        "the first. Here one column on the left is asked for, and one row below is "
        "padded. Right is 1, 2, 3 and 4, 5, 6.",
        _ONNX + "x = np.arange(1.0, 7).reshape(1, 1, 2, 3)\n"
        'print(run("MaxPool", x, kernel_shape=[1, 2], pads=[0, 1, 0, 0]))\n',
    ),
    Defect(
        "onnx",
        "`MaxPool` with stride 1 does not pad in one dimension or in three. Right is "
        "2, 3, 4, 4.",
        _ONNX + "x = np.arange(1.0, 5).reshape(1, 1, 4)\n"
        'print(run("MaxPool", x, kernel_shape=[3], pads=[1, 1]))\n',
    ),
    Defect(
        "onnx",
        "`MaxPool` with stride 1 and `auto_pad` works in two dimensions only. Right is "
        "2, 3, 4, 4.",
        _ONNX + "x = np.arange(1.0, 5).reshape(1, 1, 4)\n"
        'print(run("MaxPool", x, kernel_shape=[2], auto_pad="SAME_UPPER"))\n',
    ),
    Defect(
        "onnx",
        "`MaxPool` with `SAME_LOWER` rounds the number of windows down. Right is 1, 3, "
        "5.",
        _ONNX + "x = np.arange(1.0, 6).reshape(1, 1, 5)\n"
        'print(run("MaxPool", x, kernel_shape=[2], strides=[2], '
        'auto_pad="SAME_LOWER"))\n',
    ),
    Defect(
        "onnx",
        "`AveragePool` with `ceil_mode` puts half of what the last window overhangs in "
        "front, so that all windows shift. Right is 2 and 4, of 1 2 3 and of 4.",
        _ONNX + "x = np.arange(1.0, 5).reshape(1, 1, 4)\n"
        'print(run("AveragePool", x, kernel_shape=[3], strides=[3], ceil_mode=1))\n',
    ),
    Defect(
        "onnx",
        "`AveragePool` with `auto_pad` fails where the stride exceeds the kernel. "
        "Right is 1 and 3.",
        _ONNX + "x = np.arange(1.0, 5).reshape(1, 1, 4)\n"
        'print(run("AveragePool", x, kernel_shape=[1], strides=[2], '
        'auto_pad="SAME_UPPER"))\n',
    ),
    Defect(
        "convnet",
        "The three ways of the forward pass give three results. The image is one 1 in "
        "the middle of 5x5; the first two convolve, and OpenCV's is shifted by one as "
        "well. The gradients are those of the third, so that training by either of the "
        "others follows the gradient of another function.",
        _CONVNET + "x = np.zeros((1, 5, 5, 1), np.float32)\n"
        "x[0, 2, 2, 0] = 1\n"
        "w = np.arange(1, 10, dtype=np.float32).reshape(3, 3, 1, 1)\n"
        "for opencv, fft in ((True, True), (False, True), (False, False)):\n"
        "    jax_backend.USE_OPENCV = opencv\n"
        '    y = layer((3, 3), "valid", w, x, fft).forward(x)\n'
        "    print(np.rint(y[0, :, :, 0]).astype(int).tolist())\n",
    ),
    Defect(
        "convnet",
        "The sums `<dy, y>`, `<dx, x>` and `<dw, w>` have to be equal.",
        _CONVNET + "rng = np.random.default_rng(0)\n"
        "x = rng.integers(-3, 4, (1, 5, 5, 1)).astype(np.float32)\n"
        "w = rng.integers(-3, 4, (3, 3, 1, 1)).astype(np.float32)\n"
        'conv = layer((3, 3), "valid", w, x)\n'
        "y = conv.forward(x)\n"
        "dx = conv.backward(np.ones_like(y))\n"
        'print(y.sum(), (dx * x).sum(), (conv.grads["W"] * w).sum())\n',
    ),
    Defect(
        "convnet",
        "With padding `'same'` the input gradient is computed for equal padding on "
        "both sides; where it is not, as for every even kernel, backward fails.",
        _CONVNET + "x = np.ones((1, 3, 3, 1), np.float32)\n"
        'conv = layer((2, 2), "same", np.ones((2, 2, 1, 1), np.float32), x)\n'
        "print(conv.backward(conv.forward(x)).shape)\n",
    ),
    Defect(
        "convnet",
        "Maximum pooling whose windows tile the image, the default, sends gradients to "
        "wrong places. Right is a 1 where 7 stands and a 1 where 8 stands.",
        _CONVNET + "x = np.array([[1, 2, 3, 8], [7, 4, 5, 6]], np.float32)\n"
        "x = x.reshape(1, 2, 4, 1)\n"
        "pool = MaxPool2D((2, 2))\n"
        "y = pool.forward(x)\n"
        "print(y.ravel(), pool.backward(np.ones_like(y))[0, :, :, 0].tolist())\n",
    ),
    Defect(
        "convnet",
        "The activation maps NaN to NaN in arrays of up to 1000 numbers, and to 0 in "
        "larger ones.",
        "import numpy as np\n"
        "from convnet import Activation\n\n"
        'relu = Activation("relu")\n'
        "for count in (1000, 1001):\n"
        "    print(relu.forward(np.full(count, np.nan, np.float32))[0])\n",
    ),
    Defect(
        "scipy",
        "No defect, but easily a surprise: with an even filter `mode='same'` pads more "
        "in front, unlike PyTorch's, TensorFlow's and JAX's `'same'`.",
        "import numpy as np\n"
        "from scipy.signal import correlate\n\n"
        "print(correlate(np.arange(1, 5), np.array([1, 0]), mode='same'))\n",
    ),
    Defect(
        "jax",
        "On the CPU, `conv_general_dilated` reads behind the input where the padding "
        "is negative in front and positive behind. Of ones it has to give 8, 4, 4, 2; "
        "what it gives changes from run to run. Only some sizes and channels show it.",
        "import numpy as np\n"
        "from jax import lax\n\n"
        "x = np.ones((1, 2, 3, 3), 'float32')\n"
        "w = np.ones((1, 2, 2, 2), 'float32')\n"
        "y = lax.conv_general_dilated(x, w, (1, 1), [(-1, 1), (-1, 1)])\n"
        "print(y.flatten().tolist())\n",
    ),
    Defect(
        "jax",
        "No defect, but no gradient: the maximum over dilated windows.",
        "import jax\n"
        "from jax import lax\n\n"
        "def pool(x):\n"
        "    shape = (2,), (1,), 'VALID'\n"
        "    return lax.reduce_window(\n"
        "        x, -float('inf'), lax.max, *shape, window_dilation=(2,)\n"
        "    ).sum()\n\n"
        "print(jax.grad(pool)(jax.numpy.ones(4)))\n",
    ),
)
