"""Shifts and point mutations of what is trained on: a base at a time, as the sentences say it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.sequences import to_text, to_tokens
from nrtune.trainables.data.simulate import ADAPTERS
from nrtune.trainables.training.augmentation import Augmentation, mutated, shifted
from nrtune.trainables.training.config import TrialConfig, preset
from nrtune.trainables.training.loop import Training
from nrtune.trainables.training.training_data import TrainingData

CPU = torch.device("cpu")


def config(**flat: object) -> TrialConfig:
    return TrialConfig.from_flat(
        {**preset("small"), "epochs": 2, "encoder.channels": 8, "encoder.lstm_units": 4, **flat}
    )


@pytest.mark.parametrize(
    ("by", "text"),
    [(0, "AACGTT"), (1, "NAACGT"), (-2, "CGTTNN"), (6, "NNNNNN"), (-7, "NNNNNN")],
)
def test_a_shift_by_hand(by, text):
    tokens = torch.from_numpy(to_tokens(["AACGTT"], "here"))
    assert to_text(shifted(tokens, torch.tensor([by]))[0].numpy()) == text


def test_each_third_of_the_rate_is_another_base():
    tokens = torch.from_numpy(to_tokens(["A" * 5, "G" * 5, "T" * 5, "N" * 5], "here"))
    below = float(np.nextafter(np.float32(0.3), np.float32(0)))
    draws = torch.tensor([0.0, 0.15, below, 0.3, 0.9]).expand(4, 5)
    found = [to_text(row) for row in mutated(tokens, draws, 0.3).numpy()]
    assert found == ["CGTAA", "TACGG", "ACGTT", "NNNNN"]


def test_mutations_are_drawn_at_their_rate():
    tokens = torch.from_numpy(np.random.default_rng(0).integers(0, 5, (400, 230)).astype(np.uint8))
    found = Augmentation(config(mutation_rate=0.05), CPU)(tokens)
    is_base = tokens < 4
    assert (found[~is_base] == 4).all()
    step = (found[is_base].int() - tokens[is_base].int()) % 4
    n = len(step)
    for other in (1, 2, 3):
        share = float((step == other).float().mean())
        assert abs(share - 0.05 / 3) < 5 * (0.05 / 3 / n) ** 0.5


def test_random_numbers_are_of_the_seed_and_the_epoch_alone():
    tokens = torch.from_numpy(np.random.default_rng(0).integers(0, 4, (64, 230)).astype(np.uint8))
    asked = {"max_shift": 15, "mutation_rate": 0.1}
    one, other = (Augmentation(config(**asked, lr=lr), CPU) for lr in (0.001, 0.1))
    first = one(tokens)
    assert torch.equal(first, other(tokens))
    assert not torch.equal(first, one(tokens))  # a later batch
    for epoch, same in ((1, False), (0, True)):
        one.begin(epoch)
        assert torch.equal(first, one(tokens)) == same
    assert not torch.equal(first, Augmentation(config(**asked, seed=1), CPU)(tokens))
    assert Augmentation(config(), CPU)(tokens) is tokens


def trained_on(training: Training) -> tuple[np.ndarray, np.ndarray]:
    """The rows and the tokens that the network is shown in an epoch."""
    rows: list[torch.Tensor] = []
    tokens: list[torch.Tensor] = []
    gather, network = training.resident.batch, training.trained

    def gathered(of):
        rows.append(of)
        return gather(of)

    def shown(of, **how):
        tokens.append(of)
        return network(of, **how)

    training.resident.batch, training.trained = gathered, shown
    training.run_epoch()
    return torch.cat(rows).numpy(), torch.cat(tokens).numpy()


def test_a_training_sees_its_rows_shifted_within_their_flanks(simulated_data):
    """The insert is whole wherever it lies: what is lost is a part of one adapter, and N stands at the other end."""
    dataset = simulated_data.dataset
    assert dataset.flanks == (15, 15) == tuple(map(len, ADAPTERS))
    rows, shown = trained_on(Training(config(max_shift=15), simulated_data))
    by = []
    for row, found in zip(dataset.tokens[rows], shown, strict=True):
        text, seen = to_text(row), to_text(found)
        by.append(seen.index(text[15:-15]) - 15)
        assert seen == ("N" * 15 + text + "N" * 15)[15 - by[-1] :][:230]
    assert set(by) == set(range(-15, 16))
    assert abs(np.mean(by)) < 5 * (31**2 - 1) ** 0.5 / 12**0.5 / len(by) ** 0.5


def test_a_shift_that_cuts_off_what_was_measured_is_refused(simulated_data: TrainingData):
    with pytest.raises(
        UserError, match=r"max_shift 16 would cut off .*share 15 at the left end and 15 .*give 15 or less"
    ):
        Training(config(max_shift=16), simulated_data)
