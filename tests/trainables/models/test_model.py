"""The model around encoder and head: the other strand of tokens, and the scale of what it says."""

from __future__ import annotations

import numpy as np
import torch

from nrtune.trainables.data.sequences import reverse_complement
from nrtune.trainables.models.model import other_strand
from nrtune.trainables.training.config import TrialConfig, preset


def test_the_other_strand_is_the_reverse_complement():
    tokens = np.random.default_rng(0).integers(0, 5, (20, 31)).astype(np.uint8)
    found = other_strand(torch.from_numpy(tokens))
    assert found.dtype == torch.uint8
    assert (found.numpy() == reverse_complement(tokens)).all()


def test_a_standardised_model_speaks_in_activity():
    """μ of labels (y − m)/s is m + s μ of activity, and the logarithm of a variance is larger by that of s²."""
    flat = {**preset("small", "factorized"), "head": "dual", "loss": "heteroscedastic"}
    model = TrialConfig.from_flat({**flat, "standardise": True}).build_model().eval()
    assert "activity_scale" in model.state_dict()
    model.activity_scale = torch.tensor([-0.5, 4.0])
    tokens = torch.from_numpy(np.random.default_rng(0).integers(0, 4, (5, 60)).astype(np.uint8))
    with torch.no_grad():
        learned, spoken = model(tokens, as_learned=True), model(tokens)
    torch.testing.assert_close(spoken.mean, -0.5 + 4 * learned.mean)
    torch.testing.assert_close(spoken.predicted_log_variance.exp(), 16 * learned.predicted_log_variance.exp())
    plain = TrialConfig.from_flat(flat).build_model().eval()
    assert "activity_scale" not in plain.state_dict()  # checkpoints of before there was one are read
    with torch.no_grad():
        assert torch.equal(plain(tokens).mean, plain(tokens, as_learned=True).mean)
