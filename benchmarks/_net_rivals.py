"""The same networks in PyTorch, eager and compiled, and in onnxruntime."""

import contextlib
import importlib
import importlib.util
import io
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks._floor import Layer
from benchmarks._net_sides import MOMENTUM, RATE, Array, Problem
from benchmarks._nets import Net, build
from benchmarks._torch_nets import TORCH

FORMATS = {"first": torch.contiguous_format, "last": torch.channels_last}


def weights_of(net: Net, seed: int = 180) -> dict[str, Array]:
    """Return newly drawn weights and statistics, as PyTorch draws and names them."""
    torch.manual_seed(seed)
    return _arrays(build(net.part, TORCH))


def _arrays(model: Any) -> dict[str, Array]:
    return {name: t.numpy().copy() for name, t in model.state_dict().items()}


class Torch:
    """PyTorch with its default arguments, channels first or last.

    `compiled` compiles forward and backward by `torch.compile`; the optimiser is
    PyTorch's own in either case.
    """

    def __init__(
        self,
        problem: Problem,
        weights: dict[str, Array],
        *,
        layout: str = "first",
        compiled: bool = False,
        dtype: Any = torch.float32,
    ) -> None:
        form = {"dtype": dtype, "memory_format": FORMATS[layout]}
        self.model = build(problem.net.part, TORCH)
        given = {name: torch.from_numpy(a.copy()) for name, a in weights.items()}
        self.model.load_state_dict(given)
        self.model.to(**form)
        self.x = torch.from_numpy(problem.x).to(**form)
        self.y = torch.from_numpy(problem.y)
        self.optimiser = torch.optim.SGD(
            self.model.parameters(), RATE, momentum=MOMENTUM
        )
        self._apply = torch.compile(self.model) if compiled else self.model

    def step(self) -> Any:
        self.model.train()
        self.optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(self._apply(self.x), self.y)
        loss.backward()
        self.optimiser.step()
        return loss.item()

    def infer(self) -> Any:
        self.model.eval()
        with torch.inference_mode():
            return self._apply(self.x).numpy()

    def arrays(self) -> dict[str, Array]:
        return _arrays(self.model)

    def fill_slots(self) -> None:
        """Make the momentum now, which PyTorch does in the first step."""
        for parameter in self.model.parameters():
            slot = torch.zeros_like(parameter).add_(0)  # written, so it is resident
            self.optimiser.state[parameter]["momentum_buffer"] = slot


def layers_of(problem: Problem) -> list[Layer]:
    """Return the convolutions and linear layers in the order in which they run."""
    model = build(problem.net.part, TORCH)
    found: list[Layer] = []

    def note(module: Any, inputs: Any, y: Any) -> None:
        x, w, out = (tuple(t.shape) for t in (inputs[0], module.weight, y))
        found.append(Layer(x, w, out, is_first=not found))

    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            module.register_forward_hook(note)
    with torch.inference_mode():
        model.eval()(torch.from_numpy(problem.x))
    return found


def parameters_of(net: Net) -> int:
    """Return the number of parameters, which an optimiser updates."""
    return sum(p.numel() for p in build(net.part, TORCH).parameters())


def has_onnxruntime() -> bool:
    """Return whether onnxruntime, and `onnx` for the export, are installed."""
    return all(map(importlib.util.find_spec, ("onnx", "onnxruntime")))


def onnx_call(side: Torch, threads: int) -> Callable[[], Any]:
    """Return the inference of `side` in onnxruntime, on its images."""
    ort = importlib.import_module("onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = ort.InferenceSession(
        _exported(side), options, providers=["CPUExecutionProvider"]
    )
    given = {"x": np.ascontiguousarray(side.x.numpy())}
    return lambda: session.run(None, given)[0]


def _exported(side: Torch) -> bytes:
    """Return the network as ONNX; the exporter that needs no further package."""
    out = io.BytesIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            side.model.eval(), (side.x,), out, input_names=["x"], dynamo=False
        )
    return out.getvalue()
