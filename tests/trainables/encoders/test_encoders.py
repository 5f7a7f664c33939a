"""The factorized encoder's own losses, against their definitions: the bottleneck's KL and the adversary's reversed gradient."""

from __future__ import annotations

import literal
import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from nrtune.trainables.encoders import ENCODERS
from nrtune.trainables.models.model import ONE_HOT_OF_TOKEN

LENGTH, BETA, WEIGHT, BINS = 64, 0.3, 2.5, 8
"""64 bases and 8 bins: GC contents and the bins' bounds are exact in binary."""

BRANCHES = ("motif.", "motif_out.", "grammar.", "grammar_out.")


def build(**options: float) -> torch.nn.Module:
    torch.manual_seed(0)
    return ENCODERS.get("factorized").build({"channels": 6, **options}).module()


def sequences(n: int = 40) -> list[str]:
    """Random ones of any GC content, bounds of bins among them, some bases unknown."""
    generator = np.random.default_rng(0)
    made = []
    for gc in np.linspace(0, 1, n):
        p = [(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2]
        made.append("".join(generator.choice(list("ACGT"), size=LENGTH, p=p)))
    made += ["G" * gc + "A" * (LENGTH - gc) for gc in range(12, 53, 4)]
    return [*made, "N" * LENGTH, "NC" * (LENGTH // 2)]


def one_hot(found: list[str]) -> torch.Tensor:
    tokens = torch.tensor([["ACGTN".index(base) for base in sequence] for sequence in found])
    return torch.tensor(ONE_HOT_OF_TOKEN)[tokens].transpose(1, 2)


@pytest.fixture
def bottleneck() -> tuple[torch.nn.Module, torch.Tensor, torch.Tensor, torch.Tensor]:
    """A module, its input, and the bottleneck's mean and log-variance, both far from 0."""
    module, inputs = build(vib_beta=BETA), one_hot(sequences())
    with torch.no_grad():
        module.bottleneck.weight.mul_(20)
        mean, log_variance = module.bottleneck(module.composition(inputs.mean(dim=2))).chunk(2, dim=1)
    assert mean.std() > 1
    assert log_variance.std() > 1
    return module, inputs, mean, log_variance


@pytest.mark.parametrize("training", [True, False])
def test_the_divergence_is_that_of_two_gaussians(bottleneck, training):
    module, inputs, mean, log_variance = bottleneck
    found = module.train(training)(inputs).auxiliary["vib_kl"].item()
    theirs = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0, 1)).sum(dim=1).mean().item()
    assert found == pytest.approx(BETA * theirs, rel=1e-5)
    assert found == pytest.approx(BETA * literal.vib_divergence(mean.numpy(), log_variance.numpy()), rel=1e-5)


def test_the_bottleneck_is_sampled_in_training_and_its_mean_in_evaluation(bottleneck):
    module, inputs, mean, log_variance = bottleneck
    size = mean.shape[1]
    evaluated = module.eval()(inputs).embedding[:, -size:]
    assert torch.allclose(evaluated, mean, rtol=1e-5, atol=1e-6)
    torch.manual_seed(1)
    drawn = module.train()(inputs[:1].expand(2000, -1, -1)).embedding[:, -size:]
    standard = (drawn - mean[0]) / (0.5 * log_variance[0]).exp()
    assert (standard.mean(dim=0).abs() < 5 / 2000**0.5).all()
    assert standard.std().item() == pytest.approx(1, abs=0.02)


def adversary(module: torch.nn.Module, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The adversary's loss as the encoder gives it, and the classifier's logits without a reversal.

    In float64: the biases ahead of a batch norm have a gradient of 0, which float32 makes noise of.
    """
    module, inputs = module.double(), inputs.double()
    loss = module.train()(inputs).auxiliary["gc_adversary"]
    bases = inputs.transpose(1, 2)
    motif = torch.relu(module.motif_out(module.motif(bases).amax(dim=1)))
    grammar = torch.relu(module.grammar_out(module.grammar(bases).mean(dim=1)))
    return loss, module.gc_classifier(torch.cat([motif, grammar], dim=1)).float()


@pytest.mark.parametrize("bins", [2, BINS, 10])
def test_the_adversary_is_the_cross_entropy_of_binned_gc_content(bins):
    known = sequences()
    classes = [literal.gc_bin(sequence, bins) for sequence in known]
    assert set(classes) == set(range(bins))
    loss, logits = adversary(build(gc_bins=bins), one_hot(known))
    assert loss.item() == pytest.approx(literal.cross_entropy(logits.detach().numpy(), classes), rel=1e-5)


def test_the_adversarys_gradient_is_reversed_on_the_branches_alone():
    module, known = build(gc_bins=BINS, gc_weight=WEIGHT, vib_beta=BETA), sequences()
    loss, logits = adversary(module, one_hot(known))
    classes = torch.tensor([literal.gc_bin(sequence, BINS) for sequence in known])
    names, parameters = zip(*module.named_parameters(), strict=True)
    options = {"allow_unused": True, "retain_graph": True}
    found = torch.autograd.grad(loss, parameters, **options)
    plain = torch.autograd.grad(torch.nn.functional.cross_entropy(logits, classes), parameters, **options)
    seen = set()
    for name, mine, unreversed in zip(names, found, plain, strict=True):
        scale = -WEIGHT if name.startswith(BRANCHES) else 1
        if mine is None:
            assert name.startswith(("composition.", "bottleneck."))
            continue
        assert torch.allclose(mine, scale * unreversed, rtol=1e-6, atol=1e-9), name
        if unreversed.abs().max() > 1e-4:
            seen.add(name.partition(".")[0])
    assert seen == {"motif", "motif_out", "grammar", "grammar_out", "gc_classifier"}


def test_there_is_no_adversary_in_evaluation():
    assert "gc_adversary" not in build(gc_bins=BINS).eval()(one_hot(sequences())).auxiliary
