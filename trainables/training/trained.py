"""What a trained network's file holds, checked as a whole before anything is made of it: best.pt, and a member of an ensemble."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.files import BEST, TRIALS
from nrtune.trainables.core.shape import EACH, DamagedFile, check_shape, file_name
from nrtune.trainables.data.adapters import Adapters
from nrtune.trainables.evaluation.calibration import Calibration
from nrtune.trainables.models.model import Model
from nrtune.trainables.training import checkpoint
from nrtune.trainables.training.config import TrialConfig

ENSEMBLE = "ensemble"
"""The `kind` of an ensemble's file; one network's has none."""
LONGEST_SEQUENCE, LARGEST_PARAMETER = 1_000_000, 1_000_000
"""What no model's length and no size of an encoder is above."""

_SHAPE = {
    "config": {EACH: (str, int, float, bool, None)},
    "fingerprint": file_name,
    "length": int,
    "state": {EACH: Tensor},
    "epoch?": int,
    "adapters?": [str],  # none in older files, nor is there a calibration
    "calibration?": {"slope": float, "intercept": float},
}


class Trained(NamedTuple):
    """A trained network: its trial, the bases of its sequences, its weights by name, and what older files have not.

    flat: the parameters of the trial, which `config` is of. adapters: what all training sequences shared at their ends.
    """

    flat: Mapping[str, Any]
    config: TrialConfig
    fingerprint: str
    length: int
    state: Mapping[str, Tensor]
    adapters: Adapters | None
    calibration: Calibration | None

    def model(self) -> Model:
        """The network with its weights, as it predicts."""
        model = self.config.build_model()
        model.load_state_dict(dict(self.state))
        return model.eval()


def trained_of(content: Mapping[str, Any], where: str) -> Trained:
    """What a checkpoint says of a trained network. where: it lies, for errors.

    Raises DamagedFile for what lacks something, weights that are not finite or not those of its encoder; UserError for an encoder
    that is not there.
    """
    checkpoint.check_digest(content, where)
    try:
        check_shape(content, _SHAPE)
        if not 0 < content["length"] <= LONGEST_SEQUENCE:
            raise ValueError(f"length: is {content['length']}")
        if len(content.get("adapters", ("", ""))) != 2:
            raise ValueError("adapters: are not two")
    except ValueError as error:
        raise DamagedFile(f"{where}: is damaged ({error})") from error
    check_finite(content["state"], where)
    try:
        config = TrialConfig.from_flat(content["config"])
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    if shapes_of(content["state"]) != network_shapes(config, content["state"], where):
        raise DamagedFile(
            f"{where}: its weights are not those of its encoder {config.encoder.name()} any more; put the code of then back"
        )
    adapters = Adapters(*content["adapters"]) if "adapters" in content else None
    calibration = Calibration(**content["calibration"]) if "calibration" in content else None
    return Trained(
        content["config"], config, content["fingerprint"], content["length"], content["state"], adapters, calibration
    )


def check_trained(path: Path, content: Mapping[str, Any]) -> Trained:
    """What a file's content says of a trained network, that of the trial in whose folder it lies. Raises UserError."""
    if "state" not in content:
        what = "an ensemble" if content.get("kind") == ENSEMBLE else "a training checkpoint, not a trained model"
        raise UserError(f"{path}: is {what}; load best.pt")
    found = trained_of(content, str(path))
    folder = path.absolute().parent
    if path.name == BEST and folder.parent.name == TRIALS and folder.name != found.fingerprint:
        raise DamagedFile(f"{path}: is the checkpoint of another trial ({found.fingerprint}); put its own back")
    return found


def check_finite(state: Mapping[str, Tensor], where: str) -> None:
    """See that weights are numbers. Raises DamagedFile."""
    for name, value in state.items():
        if not torch.isfinite(value).all():
            raise DamagedFile(f"{where}: its weights are not finite ({name}), so nothing can be made of it")


def shapes_of(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """The shapes of weights by their names."""
    return {name: tuple(value.shape) for name, value in state.items()}


def network_shapes(config: TrialConfig, state: Mapping[str, Tensor], where: str) -> dict[str, tuple[int, ...]]:
    """The shapes of the weights that a trial's network has, found without making room for them. Raises DamagedFile.

    state: the weights that are there: a network of more is not built to its end.
    """
    sizes = config.encoder.parameters()
    for name, value in sizes.items():
        if isinstance(value, int) and value > LARGEST_PARAMETER:
            raise DamagedFile(f"{where}: its encoder has {name} {value}, which no network that nrtune trains has")
    own = type(config.encoder).__module__.startswith("nrtune.")
    try:
        # The encoder of a plug-in may look at numbers that are not there on this device.
        with torch.device("meta") if own else contextlib.nullcontext(), _at_most(len(state)):
            return shapes_of(config.build_model().state_dict())
    except (RuntimeError, OverflowError, ValueError, _TooManyError) as error:
        raise DamagedFile(f"{where}: its weights are not those of its encoder {config.encoder.name()}") from error


class _TooManyError(Exception):
    """A network has more weights than are there."""


@contextlib.contextmanager
def _at_most(weights: int) -> Iterator[None]:
    """Stop the building of a network that gets more weights than so many."""
    counted = 0

    def count(module: nn.Module, name: str, weight: nn.Parameter | None) -> None:
        nonlocal counted
        counted += weight is not None
        if counted > 2 * weights:  # some are made first and then replaced
            raise _TooManyError

    hook = hooks.register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()
