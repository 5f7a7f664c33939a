"""Every searched parameter reaches the training: two of its values give other losses or other rows in the first epochs.

Trials of one seed share their random numbers, so a parameter that reaches nothing leaves every number as it was: so it
was with the study's temperature of hard negatives and with its curriculum. An encoder's own losses are no evidence: they
are reported multiplied by their weight, whether or not anything is trained on them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
import torch

from nrtune.orchestrator.search.encoders import encoder_space
from nrtune.search_spaces import FAMILIES, SWITCH, Choice, Family, Float, on_encoders
from nrtune.trainables.core.randomness import derive_generator, derive_seed
from nrtune.trainables.core.registry import PLUGIN_VARIABLE
from nrtune.trainables.data.simulate import simulate
from nrtune.trainables.encoders import ENCODERS
from nrtune.trainables.training.config import TrialConfig, preset
from nrtune.trainables.training.loop import Training
from nrtune.trainables.training.training_data import TrainingData

EPOCHS, TRAINED = 8, 2
"""A budget in which every fraction of it means something, and how much of it is trained."""

TINY = {
    "dream_rnn": {"encoder.channels": 4, "encoder.lstm_units": 2, "encoder.embedding": 4},
    "factorized": {"encoder.channels": 2},
    "motif_cnn": {"encoder.channels": 4, "encoder.embedding": 4},
    "legnet": {"encoder.channels": 4},
    "dream_cnn": {"encoder.channels": 4, "encoder.embedding": 4},
    "dream_attn": {"encoder.channels": 4, "encoder.embedding": 4},
    "dilated_resnet": {"encoder.channels": 4},
}


@pytest.fixture(scope="module")
def tiny_data() -> TrainingData:
    return TrainingData(simulate(100).dataset)


def numbers(config: TrialConfig, data: TrainingData) -> Iterator[object]:
    """What a training does, the cheapest first: the rows of every epoch, then the losses of the first epochs."""
    training = Training(config, data)
    draw_weights_by_name(training)
    for epoch in range(EPOCHS):
        rows = config.sampler.epoch_rows(training.sampled, epoch, EPOCHS, derive_generator(config.seed, epoch))
        yield rows.tolist()
    for _ in range(TRAINED):
        found = training.run_epoch().metrics
        yield {key: value for key, value in found.items() if key == "train/loss" or key.startswith("val/")}


def draw_weights_by_name(training: Training) -> None:
    """First weights that depend on a layer's name alone: one layer more or less does not move those of the others."""
    with torch.random.fork_rng():
        for name, module in training.model.named_modules():
            if hasattr(module, "reset_parameters"):
                torch.manual_seed(derive_seed(training.config.seed, name))
                module.reset_parameters()


def is_live(family: Family, parameter, data: TrainingData) -> bool:
    """Whether each value of a choice, or each end of a range, gives numbers of its own."""
    values = parameter.values if isinstance(parameter, Choice) else (parameter.low, parameter.high)
    configs = []
    for value in values:
        flat = family.flat(family.complete(family.given_for(parameter) | {parameter.name: value}))
        flat = {
            **preset("small", flat["encoder"]),
            **TINY.get(flat["encoder"], {}),
            "batch_size": 32,
            "epochs": EPOCHS,
        } | flat
        configs.append(TrialConfig.from_flat(flat))
    runs = [numbers(config, data) for config in configs]
    apart: set[tuple[int, int]] = set()
    for seen in zip(*runs, strict=True):
        apart |= {(i, j) for j in range(len(values)) for i in range(j) if seen[i] != seen[j]}
        if len(apart) == len(values) * (len(values) - 1) // 2:
            return True
    return len(values) == 1


@pytest.mark.parametrize(
    ("name", "number"),
    [
        pytest.param(name, number, id=f"{name}-{parameter.name}")
        for name in FAMILIES
        for number, parameter in enumerate(FAMILIES.get(name).searched())
        if not parameter.name.startswith(SWITCH)
    ],
)
def test_every_searched_parameter_is_live(name, number, tiny_data):
    family = FAMILIES.get(name)
    assert is_live(family, family.searched()[number], tiny_data)


SPACES = {name: encoder_space(name, "small") for name in ENCODERS}


@pytest.mark.parametrize(
    ("name", "number"),
    [
        pytest.param(name, number, id=f"{name}-{parameter.name}")
        for name, space in SPACES.items()
        for number, parameter in enumerate(space.parameters)
    ],
)
def test_every_searched_parameter_of_an_encoder_is_live(name, number, tiny_data):
    space = SPACES[name]
    family = on_encoders(FAMILIES.get("baseline"), [space])
    assert is_live(family, space.parameters[number], tiny_data)


DEAD_LOSS = """
import dataclasses
from nrtune.trainables.core.component import param
from nrtune.trainables.losses import Loss

@dataclasses.dataclass(frozen=True, kw_only=True)
class Deaf(Loss):
    \"\"\"Squared error with a parameter that reaches nothing.\"\"\"
    temperature: float = param(1.0)
    def __call__(self, prediction, target, progress):
        return (prediction.mean - target.activity).square().mean()
"""


def test_a_dead_parameter_is_caught(tiny_data, tmp_path, monkeypatch):
    (tmp_path / "losses").mkdir()
    (tmp_path / "losses" / "deaf.py").write_text(DEAD_LOSS)
    monkeypatch.setenv(PLUGIN_VARIABLE, str(tmp_path))
    dead = Float(name="loss.temperature", low=0.1, high=10, default=1)
    live = Float(name="lr", low=1e-4, high=1e-2, default=1e-3)
    family = dataclasses.replace(
        FAMILIES.get("baseline"), fixed={"encoder": "factorized", "loss": "deaf"}, space=(dead, live), published=()
    )
    assert not is_live(family, dead, tiny_data)
    assert is_live(family, live, tiny_data)
