"""A trial's configuration with another seed: its name, its seeds, and that it still is what was trained."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable

from nrtune.analysis.store.records import Proposal, TrialRecord
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.registry import PLUGIN_VARIABLE
from nrtune.trainables.training.config import TrialConfig
from nrtune.trainables.training.training_data import TrainingData


def fresh_seeds(count: int, taken: Collection[int]) -> list[int]:
    """The smallest seeds that are not taken."""
    return list(itertools.islice((seed for seed in itertools.count() if seed not in taken), count))


def with_seed(record: TrialRecord, seed: int, data: TrainingData) -> Proposal:
    """A trial with another seed, such as RS-002/s1. Raises UserError where its configuration can't be built any more."""
    config = _config(record, seed)
    return Proposal(
        name=f"{record.name}/s{seed}",
        family=record.family,
        number=-1,
        config=config.to_flat(),
        fingerprint=data.fingerprint_of(config),
        published=None,
        aliases={},
        replicate_of=record.name,
    )


def check_code(originals: Iterable[TrialRecord], data: TrainingData) -> None:
    """See that each configuration still builds what was trained. Raises UserError."""
    for record in originals:
        if data.fingerprint_of(_config(record, record.config["seed"])) != record.fingerprint:
            raise UserError(
                f"{record.name}: what its configuration builds has changed since it was trained; put the code of"
                f" then back (encoder {record.config['encoder']}, loss {record.config['loss']},"
                f" sampler {record.config['sampler']})"
            )


def _config(record: TrialRecord, seed: int) -> TrialConfig:
    try:
        return TrialConfig.from_flat({**record.config, "seed": seed})
    except UserError as error:
        raise UserError(f"{record.name}: {error}; {PLUGIN_VARIABLE} must be as it was in the search") from error
