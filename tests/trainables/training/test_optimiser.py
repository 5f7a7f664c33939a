"""The optimiser: PyTorch's own steps, without the compiler that PyTorch imports beside them."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from nrtune.trainables.training.optimiser import AdamW

ALONE = """
import sys
import torch
from nrtune.trainables.training.optimiser import AdamW
weight = torch.nn.Parameter(torch.ones(2))
optimiser = AdamW([weight], lr=0.1, fused=True)
optimiser.zero_grad()
weight.sum().backward()
optimiser.step()
optimiser.load_state_dict(optimiser.state_dict())
sys.exit("torch._dynamo" in sys.modules)
"""


def trained(kind: type[torch.optim.Optimizer]) -> list[torch.Tensor]:
    """The weights and the optimiser's state after ten steps, a new optimiser with the state of the first after five."""
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 2)
    inputs, state = torch.randn(3, 4), None
    for _ in range(2):
        optimiser = kind(model.parameters(), lr=0.01, weight_decay=0.1, fused=True)
        if state is not None:
            optimiser.load_state_dict(state)
        for _ in range(5):
            optimiser.zero_grad(set_to_none=True)
            model(inputs).square().sum().backward()
            optimiser.step()
        state = optimiser.state_dict()
    assert state is not None
    moments = [state["state"][i][name] for i in (0, 1) for name in ("step", "exp_avg", "exp_avg_sq")]
    return [model.weight.detach(), model.bias.detach(), *moments]


def test_steps_and_state_are_those_of_torch_to_the_bit():
    assert all(map(torch.equal, trained(AdamW), trained(torch.optim.AdamW)))


@pytest.mark.end_to_end
def test_the_compiler_is_not_imported():
    assert subprocess.run([sys.executable, "-c", ALONE], check=False).returncode == 0
