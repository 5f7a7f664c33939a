"""The optimiser, without what torch.compile would want of it, and which weights decay."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import nn
from torch.optim import AdamW as TorchAdamW

from nrtune.trainables.training.config import TrialConfig


class AdamW(TorchAdamW):
    """`torch.optim.AdamW`, of which the methods are taken that PyTorch wraps for torch.compile.

    The wrapping imports torch._dynamo, with any optimiser, in every process: 2 s and 75 MB, for what only a compiled step
    of the optimiser needs. nrtune compiles the model alone.
    """

    add_param_group: Any = inspect.unwrap(TorchAdamW.add_param_group)
    zero_grad: Any = inspect.unwrap(TorchAdamW.zero_grad)
    state_dict: Any = inspect.unwrap(TorchAdamW.state_dict)
    load_state_dict: Any = inspect.unwrap(TorchAdamW.load_state_dict)
    step: Any = torch.no_grad()(inspect.unwrap(TorchAdamW.step))


def optimiser_of(model: nn.Module, config: TrialConfig) -> AdamW:
    """AdamW of a configuration over a model's parameters.

    Without `decay_norms` those of one dimension, which are biases and what norms scale and shift by, have no weight decay.
    """
    groups: Any = model.parameters()
    if not config.decay_norms:
        of_weights = [parameter for parameter in model.parameters() if parameter.ndim > 1]
        others = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
        groups = [{"params": of_weights}, {"params": others, "weight_decay": 0.0}]
    return AdamW(groups, lr=config.lr, weight_decay=config.weight_decay, fused=True)
