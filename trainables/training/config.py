"""TrialConfig: everything that decides a trial's numbers, frozen, checked, fingerprinted."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch

from nrtune.trainables.core.component import NONE, Value, check_fields, omitted, param
from nrtune.trainables.core.errors import UserError, suggest
from nrtune.trainables.core.registry import ClassRegistry
from nrtune.trainables.encoders import ENCODERS, Encoder
from nrtune.trainables.encoders.dream_rnn import DreamRNN
from nrtune.trainables.losses import LOSSES, Loss
from nrtune.trainables.losses.mse import MeanSquaredError
from nrtune.trainables.models.heads import HEADS, HEADS_WITH_LOG_VARIANCE
from nrtune.trainables.models.model import Model
from nrtune.trainables.samplers import SAMPLERS, Sampler
from nrtune.trainables.samplers.uniform import Uniform
from nrtune.trainables.training.fingerprint import fingerprint

PRESETS: Mapping[str, Mapping[str, Value]] = {
    "small": {"batch_size": 64, "epochs": 4},
    "study": {"batch_size": 1024, "epochs": 80},
}
"""What a preset sets beside the encoder's size, which each encoder states itself."""

PRECISIONS = ("auto", "float32", "bf16")
FIRST = "first"
"""What is frozen: the encoder's first layer."""
LONGEST_MEMORY = 0.99999
"""The largest decay of an average of weights: one of 1 would keep the first weights for ever."""
_REGISTRIES: Mapping[str, ClassRegistry[Any]] = {"encoder": ENCODERS, "loss": LOSSES, "sampler": SAMPLERS}
_DEFAULTS = {"encoder": DreamRNN.name(), "loss": MeanSquaredError.name(), "sampler": Uniform.name()}


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrialConfig:
    """Encoder × head × loss × sampler, optimiser, budget and seed of one trial.

    `lr` is the one-cycle schedule's highest learning rate; `precision` auto means training under bf16 autocast on a
    CUDA device that has it, float32 elsewhere; predictions are float32 always. `compile` trains through torch.compile,
    which takes a quarter of a minute on a GPU and won 4 % of each epoch there: a long training gets its time back.

    What each sequence that is trained on becomes, anew in each epoch: with `reverse_complement` the other strand's by even
    chance; with `max_shift` it moves by a whole number of bases drawn evenly from -max_shift to max_shift, N behind it;
    with `mutation_rate` each base, N apart, is by that chance one of the other three. `standardise` trains on labels less
    the training split's mean, divided by its standard deviation, as is the replicate standard deviation that losses see;
    predictions stay log2(RNA/DNA). With `ema` above 0 what is validated, scored and kept is an exponential moving average
    of the weights with that decay. Without `decay_norms` biases and norms have no weight decay. With `both_strands` each
    prediction is the mean of both strands', of the mean and of the log-variance. `warm_start` is the digest of the weights that
    the training begins with, which its data hold (`WarmStart`), none for random ones; with `freeze` first the encoder's first
    layer stays as it is there.
    """

    encoder: Encoder = dataclasses.field(default_factory=DreamRNN)
    head: str = "point"
    loss: Loss = dataclasses.field(default_factory=MeanSquaredError)
    sampler: Sampler = dataclasses.field(default_factory=Uniform)
    lr: float = param(0.005, above=0)
    weight_decay: float = param(0.01, low=0)
    batch_size: int = param(1024, low=1)
    epochs: int = param(80, low=1)
    precision: str = "auto"
    reverse_complement: bool = False
    max_shift: int = param(0, low=0, omitted_at_default=True)
    mutation_rate: float = param(0.0, low=0, high=1, omitted_at_default=True)
    standardise: bool = param(False, omitted_at_default=True)
    ema: float = param(0.0, low=0, high=LONGEST_MEMORY, omitted_at_default=True)
    decay_norms: bool = param(True, omitted_at_default=True)
    both_strands: bool = param(False, omitted_at_default=True)
    warm_start: str = param(NONE, omitted_at_default=True)
    freeze: str = param(NONE, one_of=(NONE, FIRST), omitted_at_default=True)
    compile: bool = False
    seed: int = param(0, low=0)

    def __post_init__(self) -> None:
        """Refuse what can't work. Raises UserError."""
        check_fields(self, "trial")
        if self.head not in HEADS:
            raise UserError(f"unknown head {self.head!r}{suggest(self.head, HEADS)}")
        if self.precision not in PRECISIONS:
            raise UserError(f"unknown precision {self.precision!r}{suggest(self.precision, PRECISIONS)}")
        if self.freeze != NONE and self.warm_start == NONE:
            raise UserError(f"freeze {self.freeze} would keep random weights: give a warm_start, or leave it out")
        gives_log_variance = self.head in HEADS_WITH_LOG_VARIANCE
        if self.loss.needs_log_variance and not gives_log_variance:
            raise UserError(f"loss {self.loss.name()} needs a log-variance: use head distributional or dual, not point")
        if gives_log_variance and not self.loss.needs_log_variance:
            raise UserError(
                f"loss {self.loss.name()} would leave head {self.head}'s log-variance untrained: use head point"
            )

    @property
    def needs_noise(self) -> bool:
        """Whether the data must have a measured aleatoric_std."""
        return self.loss.needs_noise or self.sampler.needs_noise

    def in_bf16(self, device: torch.device) -> bool:
        """Whether it trains in bf16 on a device."""
        if self.precision == "auto":
            return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return self.precision == "bf16"

    def build_model(self) -> Model:
        """Build the untrained model, its weights drawn from torch's current generator."""
        return Model(self.encoder.module(), self.head, standardised=self.standardise)

    @classmethod
    def from_flat(cls, flat: Mapping[str, Any]) -> TrialConfig:
        """Build from flat names such as `loss`, `loss.k`, `encoder.channels`, `lr`.

        What is left out keeps its default. Raises UserError for an unknown name.
        """
        plain: dict[str, Any] = {}
        parameters: dict[str, dict[str, Any]] = {kind: {} for kind in _REGISTRIES}
        fields = [field.name for field in dataclasses.fields(cls)]
        for key, value in flat.items():
            kind, dot, name = key.partition(".")
            if dot and kind in parameters:
                parameters[kind][name] = value
            elif not dot and key in fields:
                plain[key] = value
            else:
                known = [*fields, *(f"{kind}.…" for kind in parameters)]
                raise UserError(f"unknown trial parameter {key!r}{suggest(key, known)}")
        for kind, registry in _REGISTRIES.items():
            plain[kind] = registry.get(plain.get(kind, _DEFAULTS[kind])).build(parameters[kind])
        return cls(**plain)

    def to_flat(self) -> dict[str, Value]:
        """Every parameter by its flat name, defaults included: `from_flat(to_flat())` is the same trial."""
        flat: dict[str, Value] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name in _REGISTRIES:
                flat[field.name] = value.name()
                flat |= {f"{field.name}.{key}": v for key, v in value.parameters().items()}
            else:
                flat[field.name] = value
        return flat

    def fingerprint(self, *digests: str) -> str:
        """Return 16 hex digits that name this trial on the data of `digests`, stable over processes and machines."""
        left_out = omitted(self)
        for kind in _REGISTRIES:
            left_out |= {f"{kind}.{name}" for name in omitted(getattr(self, kind))}
        return fingerprint({name: v for name, v in self.to_flat().items() if name not in left_out}, digests)


def preset(name: str, encoder: str = "dream_rnn") -> dict[str, Value]:
    """Return a preset's flat parameters for an encoder. Raises UserError for an unknown preset or encoder."""
    if name not in PRESETS:
        raise UserError(f"unknown preset {name!r}{suggest(name, PRESETS)}")
    sizes = ENCODERS.get(encoder).presets.get(name, {})
    return {**PRESETS[name], "encoder": encoder, **{f"encoder.{key}": value for key, value in sizes.items()}}
