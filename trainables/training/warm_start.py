"""A start from trained weights, such as those of another cell line's model, in place of random ones."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nrtune.trainables.core.component import NONE, Value
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.files import BEST
from nrtune.trainables.core.given import check_file
from nrtune.trainables.encoders import Encoder
from nrtune.trainables.evaluation.calibration import Calibration, why_unusable
from nrtune.trainables.models.heads import Head
from nrtune.trainables.models.model import Model
from nrtune.trainables.training import checkpoint
from nrtune.trainables.training.config import FIRST, TrialConfig
from nrtune.trainables.training.trained import check_trained

ENCODER, HEAD, SCALE = "encoder.", "head.", "activity_scale"
"""What the names of weights begin with in a model's state, and the name of what its labels were standardised by."""

GIVE = "give a trial's best.pt, or the folder that holds it"


@dataclasses.dataclass(frozen=True, eq=False)
class WarmStart:
    """The weights of a trained model, to begin others with; `read_warm_start` reads one.

    path: where they were read. flat: the parameters of the model's trial. state: its weights by name. length, adapters: bases
    of the sequences that it was trained on, and what these shared at their ends, None where its file does not say.
    calibration: from its output to log2(RNA/DNA), None in older files.
    """

    path: Path
    flat: Mapping[str, Any]
    state: Mapping[str, NDArray[np.generic]]
    length: int
    adapters: tuple[str, str] | None
    calibration: Calibration | None

    def __getstate__(self) -> dict[str, Any]:
        """All but what follows from it: the class of a plug-in's encoder can't be pickled for another process."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @functools.cached_property
    def config(self) -> TrialConfig:
        """The model's trial. Raises UserError for an encoder of a plug-in that is not there."""
        return TrialConfig.from_flat(self.flat)

    @functools.cached_property
    def digest(self) -> str:
        """16 hex digits of all that trials take from it, wherever it lies."""
        taken = {"encoder": self.parameters(), "head": self.config.head, "calibration": self.calibration}
        found = hashlib.sha256(json.dumps(taken, sort_keys=True).encode())
        for name in sorted(self.state):
            array = np.ascontiguousarray(self.state[name])
            found.update(f"{name}{array.dtype.str}{array.shape}".encode() + array.tobytes())
        return found.hexdigest()[:16]

    def parameters(self) -> dict[str, Value]:
        """The encoder's name and parameters, by their flat names."""
        encoder = self.config.encoder
        return {"encoder": encoder.name(), **{ENCODER + name: value for name, value in encoder.parameters().items()}}

    def sizes(self) -> dict[str, Value]:
        """The same, but for the encoder's name and for rates, such as dropout's, that decide about no weight."""
        return {
            name: value
            for name, value in self.parameters().items()
            if name.startswith(ENCODER) and (not isinstance(value, float) or name.removeprefix(ENCODER) in self.shaping)
        }

    def config_of(self, config: TrialConfig, *, freeze: bool = False) -> TrialConfig:
        """The same trial, begun with these weights. freeze: its encoder's first layer stays as it is.

        Raises UserError where they do not fit its encoder, or that has no first layer.
        """
        if (why := self.why_not(config)) is not None:
            raise UserError(f"{self.path}: {why}")
        if freeze and not config.encoder.module().first_layer():
            raise UserError(
                f"encoder {config.encoder.name()}: has no first layer to freeze; call it `first` in the encoder's module, or"
                " leave --freeze out"
            )
        return dataclasses.replace(config, warm_start=self.digest, freeze=FIRST if freeze else config.freeze)

    def why_not(self, config: TrialConfig) -> str | None:
        """Why a trial's encoder can't begin with these weights, in a clause; None where it can."""
        own, other = self.config.encoder.name(), config.encoder.name()
        if own != other:
            return f"is of encoder {own}, not {other}"
        wanted = _shapes(config.encoder, config.head)
        for name in sorted({*wanted, *self.state}):
            if not name.startswith(ENCODER):
                continue
            there = self.state[name].shape if name in self.state else None
            if there != wanted.get(name):
                differs = [
                    f"{key} {value}, not {config.encoder.parameters()[key]}"
                    for key, value in self.config.encoder.parameters().items()
                    if value != config.encoder.parameters()[key] and key in self.shaping
                ]
                return f"has a {own} of another shape ({', '.join(differs) or name})"
        return None

    @functools.cached_property
    def shaping(self) -> frozenset[str]:
        """The encoder's parameters that decide which weights it has: some other value of each gives others."""
        encoder, head = self.config.encoder, self.config.head
        own = _shapes(encoder, head)
        found = set()
        for field in dataclasses.fields(encoder):
            for value in _others(field, getattr(encoder, field.name)):
                try:
                    other = dataclasses.replace(encoder, **{field.name: value})
                except UserError:  # alone it can't be changed so
                    continue
                if _shapes(other, head) != own:
                    found.add(field.name)
                    break
        return frozenset(found)

    def why_not_head(self, config: TrialConfig) -> str | None:
        """Why a trial whose encoder begins with these weights has a new head, in a clause; None where it takes the head too."""
        if self.config.head != config.head:
            return f"the head there is {self.config.head}, not {config.head}"
        if why := why_unusable(self.calibration):
            return why
        if self.calibration is not None and not self.calibration.slope > 0:
            return "it predicts one value for all sequences"
        return None

    def give(self, model: Model, config: TrialConfig) -> None:
        """Give a trial's model these weights in place of its own.

        A head that is taken predicts at first what it predicted there, calibrated to log2(RNA/DNA): on the scale of the labels
        that the model learns, which may be standardised anew.
        """
        state = {name: torch.from_numpy(np.array(value)) for name, value in self.state.items()}
        parts = (ENCODER,) if self.why_not_head(config) else (ENCODER, HEAD)
        taken = {name: value for name, value in state.items() if name.startswith(parts)}
        model.load_state_dict({**model.state_dict(), **taken})
        if HEAD in parts:
            assert self.calibration is not None  # why_not_head
            there = _Scale.of(state.get(SCALE))
            here = _Scale.of(model.activity_scale)
            slope, intercept = self.calibration
            # Its calibrated output is slope · (there.mean + there.std · head) + intercept.
            _rescale(
                model.head,
                slope * there.std / here.std,
                (slope * there.mean + intercept - here.mean) / here.std,
                2 * math.log(there.std / here.std),
            )


def begin(model: Model, config: TrialConfig, start: WarmStart | None) -> None:
    """Have a trial's model begin as its configuration says; start: the weights of that digest, which the data have."""
    if config.warm_start != NONE:
        assert start is not None  # TrainingData.check_recipe
        start.give(model, config)
    if config.freeze == FIRST:
        model.freeze_first()


class _Scale(NamedTuple):
    """What a model's labels were standardised by; of one that learns log2(RNA/DNA) itself 0 and 1."""

    mean: float
    std: float

    @classmethod
    def of(cls, scale: Tensor | None) -> _Scale:
        return cls(0.0, 1.0) if scale is None else cls(*(float(value) for value in scale))


def _rescale(head: Head, slope: float, intercept: float, log_variance: float) -> None:
    """Make a head's mean slope · mean + intercept, and add to its log-variance."""
    with torch.no_grad():
        mean = _last(head.mean)
        mean.weight.mul_(slope)
        mean.bias.mul_(slope).add_(intercept)
        if head.log_variance is not None:
            _last(head.log_variance).bias.add_(log_variance)


def _last(module: nn.Module) -> nn.Linear:
    return [part for part in module.modules() if isinstance(part, nn.Linear)][-1]


@functools.lru_cache(maxsize=1024)
def _shapes(encoder: Encoder, head: str) -> Mapping[str, tuple[int, ...]]:
    """The shapes of a model's weights by their names; torch's generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        state = Model(encoder.module(), head).state_dict()
    return {name: tuple(value.shape) for name, value in state.items()}


def _others(field: dataclasses.Field[Any], value: Any) -> list[Any]:
    """A few other values of a parameter: neighbours of a number, the others of a few."""
    if field.metadata.get("one_of"):
        return [other for other in field.metadata["one_of"] if other != value]
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 2, value * 2, 1, 0]
    if isinstance(value, float):
        return [0.0, 0.5, 1.0]
    return []


def read_warm_start(path: Path) -> WarmStart:
    """Read the weights that a trial kept: its best.pt, or the folder that holds it.

    Raises UserError for a missing or damaged file, one that holds no trained network, and weights that are not finite.
    """
    path = path / BEST if path.is_dir() else path
    check_file(path, "a trial's best.pt")
    content = checkpoint.load(path)
    if "members" in content:
        raise UserError(f"{path}: is an ensemble, and trials start from one network; {GIVE}")
    if "state" not in content or "config" not in content:
        raise UserError(f"{path}: is a training checkpoint, not a trained model; {GIVE}")
    found = check_trained(path, content)
    state = {name: value.numpy() for name, value in found.state.items()}
    ends = None if found.adapters is None else (found.adapters.left, found.adapters.right)
    return WarmStart(path, found.flat, state, found.length, ends, found.calibration)
