"""The optimiser, without what torch.compile would want of it."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch.optim import AdamW as TorchAdamW


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
