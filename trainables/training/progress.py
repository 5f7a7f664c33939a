"""What the checkpoint of a training that goes on holds, checked against that training before it is taken up."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nrtune.trainables.core.shape import EACH, DamagedFile, check_shape, file_name, shown
from nrtune.trainables.training import checkpoint
from nrtune.trainables.training.trained import check_finite, shapes_of


class Goal(NamedTuple):
    """The training that a checkpoint must be of; average: the model of averaged weights, None where there is none."""

    fingerprint: str
    epochs: int
    model: nn.Module
    average: nn.Module | None
    optimiser: torch.optim.Optimizer
    device: torch.device


def any_number(value: Any) -> str | None:
    """The shape of a number that may be undefined."""
    return None if isinstance(value, int | float) else f"is {shown(value)}, not a number"


_WEIGHTS = {EACH: Tensor}
_SHAPE = {
    "fingerprint": file_name,
    "epoch": int,
    "history": [{EACH: any_number}],
    "model": _WEIGHTS,
    "optimiser": {"state": dict, "param_groups": list},
    "schedule": {"last_epoch": int},
    "average?": (None, _WEIGHTS),
    "best": _WEIGHTS,
    "best_epoch": int,
    "best_spearman": any_number,
}


def read_progress(path: Path, goal: Goal) -> dict[str, Any]:
    """Read a checkpoint that a training can go on from, on the training's device.

    Raises UserError for a missing file, `checkpoint.Unreadable` for a damaged one, that of another trial and weights that are
    not finite.
    """
    content = checkpoint.load(path, goal.device)
    if content.get("fingerprint") != goal.fingerprint:
        raise checkpoint.Unreadable(
            f"{path}: belongs to another trial ({shown(content.get('fingerprint'))}); give each trial its own folder"
        )
    try:
        check_shape(content, _SHAPE)
        _check_epochs(content, goal)
        _check_weights(content, goal)
        for name in ("model", "best"):
            check_finite(content[name], str(path))
    except DamagedFile as error:
        raise checkpoint.Unreadable(str(error)) from error
    except ValueError as error:
        raise checkpoint.Unreadable(f"{path}: is damaged ({error})") from error
    return content


def _check_epochs(content: dict[str, Any], goal: Goal) -> None:
    epoch = content["epoch"]
    if not 0 < epoch <= goal.epochs or len(content["history"]) != epoch:
        raise ValueError(f"epoch: is {epoch}, with {len(content['history'])} in its history")
    if not 0 < content["best_epoch"] <= epoch:
        raise ValueError(f"best_epoch: is {content['best_epoch']}")


def _check_weights(content: dict[str, Any], goal: Goal) -> None:
    wanted = shapes_of(goal.model.state_dict())
    for name in ("model", "best"):
        if shapes_of(content[name]) != wanted:
            raise ValueError(f"{name}: is of another network")
    if goal.average:
        if shapes_of(content.get("average") or {}) != shapes_of(goal.average.state_dict()):
            raise ValueError("average: is of another network")
    weights = [weight for group in goal.optimiser.param_groups for weight in group["params"]]
    for number, moments in content["optimiser"]["state"].items():
        if not isinstance(number, int) or not 0 <= number < len(weights) or not isinstance(moments, dict):
            raise ValueError("optimiser: is another network's")
        for value in moments.values():
            if isinstance(value, Tensor) and value.dim() and value.shape != weights[number].shape:
                raise ValueError("optimiser: is another network's")
