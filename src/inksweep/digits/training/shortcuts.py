"""Shorter ways into torch on the CPU: what it computes, without what it does in Python around that in each step.

A step of a small network takes about a millisecond, and a quarter of that is the Python around the kernel of Adam and
around the engine that goes back through the graph: hooks, the profiler, parameters on several devices, sparse, complex,
or of a shape that is not known. The bits are those of torch's own ways. The short ones have private names; where torch
has others, its own ways are taken.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Variable
from torch.optim import Optimizer

KERNELS = {torch.optim.Adam: "_fused_adam_", torch.optim.AdamW: "_fused_adamw_"}
# Options of the optimizers that this step does not know.
UNKNOWN = ("amsgrad", "maximize", "capturable", "differentiable")
# What goes back through the graph of a loss, below all that loss.backward() looks at before it is called.
ENGINE: Any = getattr(Variable, "_execution_engine", None)


def backward_of(loss: Tensor) -> Callable[[Tensor], object]:
    """Return what `Tensor.backward` does with a loss like this: (), of its type and on its device."""
    if loss.device.type != "cpu" or not hasattr(ENGINE, "run_backward"):
        return Tensor.backward
    options = {"keep_graph": False, "create_graph": False, "allow_unreachable": True, "accumulate_grad": True}
    gradients = (torch.ones_like(loss),)

    def backward(loss: Tensor) -> None:
        ENGINE.run_backward((loss,), gradients, inputs=(), **options)

    return backward


def lighten(optimizer: Optimizer) -> None:
    """Let a fused Adam or AdamW on the CPU take steps without torch's Python, to the same bits; leave others alone.

    Hooks on its steps are not called any more, and it cannot scale gradients.
    """
    kernel = getattr(torch, KERNELS.get(type(optimizer), ""), None)
    groups = optimizer.param_groups
    known = all(group.get("fused") and not any(group.get(name) for name in UNKNOWN) for group in groups)
    if kernel is not None and known and all(each.device.type == "cpu" for group in groups for each in group["params"]):
        optimizer.step = partial(_step, optimizer, kernel, optimizer.step)  # type: ignore[method-assign,assignment]


@torch.no_grad()
def _step(optimizer: Optimizer, kernel: Callable[..., None], torchs: Callable[[], Any]) -> None:
    """Take a step with the gradients that are there; as torch does, which makes the state, where one is the first."""
    trained = [[each for each in group["params"] if each.grad is not None] for group in optimizer.param_groups]
    if not all(each in optimizer.state for parameters in trained for each in parameters):
        torchs()
        return
    for group, parameters in zip(optimizer.param_groups, trained, strict=True):
        states = [optimizer.state[each] for each in parameters]
        steps = [state["step"] for state in states]
        torch._foreach_add_(steps, 1)
        beta1, beta2 = group["betas"]
        kernel(
            parameters,
            [each.grad for each in parameters],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            steps,
            lr=group["lr"],
            beta1=beta1,
            beta2=beta2,
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            amsgrad=False,
            maximize=False,
        )
