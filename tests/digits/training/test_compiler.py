"""Optimizers without torch's compiler: the same numbers, nothing imported; and torch's own way where that is needed."""

import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.optim import SGD, Optimizer

from inksweep.digits.training import compiler

TRAIN = """
import sys
import torch
from torch import nn
from inksweep.digits.training import compiler

def trained(kind, **options):
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    optimizer = kind(model.parameters(), lr=0.1, **options)
    for _ in range(2):
        model(torch.ones(2, 4)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    optimizer.load_state_dict(optimizer.state_dict())
    return model.weight.tolist()

kinds = [(torch.optim.SGD, {"momentum": 0.9, "fused": True}), (torch.optim.AdamW, {"fused": True}),
         (torch.optim.Adam, {"fused": True}), (torch.optim.RMSprop, {})]
torch.set_num_threads(1)
"""


def says(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", TRAIN + code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_optimizers_come_to_the_same_weights_and_import_no_compiler():
    said = says("""
compiler.leave_out()
without = [trained(kind, **options) for kind, options in kinds]
print(compiler.COMPILER in sys.modules)
import torch._dynamo
print(without == [trained(kind, **options) for kind, options in kinds])
print([hasattr(getattr(torch.optim.Optimizer, name).__wrapped__, "__dynamo_disable") for name in compiler.METHODS])
""")
    # The compiler's own wrapper is there again once it has been imported, for those methods that were called.
    assert said.splitlines() == ["False", "True", "[True, True, True, True]"]


def test_a_torch_of_other_names_imports_its_compiler_as_ever():
    said = says("""
compiler.METHODS, compiler.WRAPPER = ("renamed",), "renamed"
compiler.leave_out()
print(len(trained(torch.optim.SGD)), compiler.COMPILER in sys.modules)
""")
    assert said.split() == ["3", "True"]


def test_a_step_that_can_be_differentiated_still_can(monkeypatch):
    kinds = [SGD(nn.Linear(1, 1).parameters(), lr=0.1, differentiable=each) for each in (False, True)]
    monkeypatch.delitem(sys.modules, compiler.COMPILER, raising=False)
    seen = []

    def step(self: Optimizer) -> None:
        seen.append(torch.is_grad_enabled())

    def use_grad(self: Optimizer) -> None:
        raise AssertionError("this imports the compiler")

    use_grad.__wrapped__ = step
    without = compiler._step_without(use_grad)
    for optimizer in kinds:
        without(optimizer)
    assert seen == [False, True]


def test_a_model_that_is_compiled_trains_with_an_optimizer_that_was_made_without():
    said = says("""
compiler.leave_out()
model = nn.Linear(4, 3)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, fused=True)
compiled = torch.compile(model, backend="eager")
compiled(torch.ones(2, 4)).sum().backward()
before = model.bias.tolist()
optimizer.step()
optimizer.zero_grad()
print(compiler.COMPILER in sys.modules, before != model.bias.tolist(), model.bias.grad)
""")
    assert said.split() == ["True", "True", "None"]


@pytest.mark.parametrize("name", compiler.METHODS)
def test_the_private_names_of_torch_are_still_these(name: str):
    """Should it fail with a new torch: nothing is wrong but that the first step imports the compiler."""
    assert callable(getattr(Optimizer, name).__wrapped__)
