"""torch's compiler, which optimizers import and do not use: that takes about as long as importing torch.

Only private names of torch tell where it is imported. Where they are others, torch does as it always does.
"""

import functools
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from torch.optim import Optimizer

COMPILER = "torch._dynamo"
# These import it when they are first called, unless the function that they wrap has this attribute: torch/_compile.py.
METHODS = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
ATTRIBUTE = "__dynamo_disable"
# What torch wraps the steps of optimizers in, and all names that it uses: torch/optim/optimizer.py. It imports the
# compiler, tells it not to compile what is inside, and chooses whether a step can be differentiated.
WRAPPER = "_use_grad"
NAMES = {
    *(COMPILER, "_dynamo", "graph_break"),
    *("torch", "cast", "Optimizer", "is_grad_enabled", "set_grad_enabled", "defaults"),
}


@functools.cache
def leave_out() -> None:
    """Let no optimizer of this process import the compiler; once something else has imported it, torch has its way."""
    for name in METHODS:
        with suppress(AttributeError):
            _leave_out_of_method(getattr(Optimizer, name))
    for kind in vars(torch.optim).values():
        step = vars(kind).get("step") if isinstance(kind, type) else None
        code = getattr(step, "__code__", None)
        if step is not None and code is not None and code.co_name == WRAPPER and NAMES.issuperset(code.co_names):
            with suppress(AttributeError):
                kind.step = _step_without(step)


def _leave_out_of_method(method: Any) -> None:
    function = method.__wrapped__
    if hasattr(function, ATTRIBUTE):
        return

    def without(*args: Any, **kwargs: Any) -> Any:
        if COMPILER in sys.modules:
            delattr(function, ATTRIBUTE)
            return method(*args, **kwargs)
        return function(*args, **kwargs)

    setattr(function, ATTRIBUTE, without)


def _step_without(step: Any) -> Callable[..., Any]:
    function = step.__wrapped__

    @functools.wraps(step)
    def without(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        if COMPILER in sys.modules:
            return step(self, *args, **kwargs)
        with torch.set_grad_enabled(self.defaults["differentiable"]):
            return function(self, *args, **kwargs)

    return without
