"""Every encoder: its shape at any length and width, its gradients, its literal definition, and its paper's size."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from literal_encoders import literal_of
from torch import nn

from nrtune.trainables.core.component import Range
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.encoders import ENCODERS, Encoder
from nrtune.trainables.models.model import ONE_HOT_OF_TOKEN
from nrtune.trainables.training.config import TrialConfig, preset
from nrtune.trainables.training.fingerprint import fingerprint

LENGTH = 61
"""Odd, and no multiple of a pool."""

EXP = [name for name in ENCODERS if "first_activation" in ENCODERS.get(name).build({}).parameters()]


def encoder(name: str, **options: object) -> Encoder:
    """The small one, of 8 channels."""
    return ENCODERS.get(name).build({**ENCODERS.get(name).presets["small"], "channels": 8, **options})


def one_hot(n: int, length: int = LENGTH) -> torch.Tensor:
    """Random bases, N among them."""
    tokens = torch.randint(0, 5, (n, length), generator=torch.Generator().manual_seed(0))
    return torch.tensor(ONE_HOT_OF_TOKEN)[tokens].transpose(1, 2)


def without_dropout(spec: Encoder) -> Encoder:
    dropouts = {field.name: 0.0 for field in dataclasses.fields(spec) if field.name.endswith("dropout")}
    return dataclasses.replace(spec, **dropouts)


def built(spec: Encoder, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return spec.module()


def size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("channels", [8, 24])
@pytest.mark.parametrize("length", [3, 6, LENGTH, 230, 301])
def test_an_embedding_has_its_size_at_any_length_and_width(name, channels, length):
    module = built(encoder(name, channels=channels)).eval()
    for bases in (one_hot(3, length), torch.full((3, 4, length), 0.25)):
        found = module(bases)
        assert found.embedding.shape == (3, module.embedding_size)
        assert found.embedding.isfinite().all()
        assert found.auxiliary == {}


@pytest.mark.parametrize("name", ENCODERS)
def test_a_seed_gives_the_same_network(name):
    first, again, other = (built(encoder(name), seed) for seed in (0, 0, 1))
    states = [module.state_dict() for module in (first, again, other)]
    assert all(states[0][key].equal(states[1][key]) for key in states[0])
    assert not all(states[0][key].equal(states[2][key]) for key in states[0])
    found = [module.eval()(one_hot(4)).embedding for module in (first, again)]
    assert found[0].equal(found[1])


@pytest.mark.parametrize("name", ENCODERS)
def test_a_sequence_is_evaluated_by_itself(name):
    """In evaluation what else is in the batch doesn't count."""
    module = built(encoder(name)).double().eval()
    together = module(one_hot(5).double()).embedding
    for number, alone in enumerate(one_hot(5).double().split(1)):
        torch.testing.assert_close(module(alone).embedding[0], together[number], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ENCODERS)
def test_every_weight_is_trained(name):
    """But for those ahead of a batch norm, to which a bias is nothing."""
    module = built(without_dropout(encoder(name))).double().train()
    embedding = module(one_hot(16).double()).embedding
    (embedding * torch.randn_like(embedding)).sum().backward()
    for key, parameter in module.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
        if not key.endswith("bias"):
            assert parameter.grad.abs().max() > 1e-12, key


@pytest.mark.parametrize("name", ENCODERS)
def test_a_last_batch_of_one_sequence_is_trained_on(name):
    module = built(encoder(name)).train()
    module(one_hot(1)).embedding.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in module.parameters())


@pytest.mark.parametrize("name", EXP)
def test_an_exponential_does_not_overflow(name):
    module = built(encoder(name, first_activation="exp")).train()
    with torch.no_grad():
        for key, parameter in module.named_parameters():
            if ".norm" in key or "grammar.1" in key or "motif.1" in key:
                parameter.mul_(1e4)
    found = module(one_hot(16)).embedding
    found.sum().backward()
    assert found.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in module.parameters())


@pytest.mark.parametrize("name", ENCODERS)
def test_bf16_is_near(name):
    """Under the autocast that a GPU trains in, here on the CPU."""
    module, bases = built(without_dropout(encoder(name, channels=24))).train(), one_hot(64)
    exact = module(bases).embedding
    with torch.autocast("cpu", torch.bfloat16):
        found = module(bases).embedding
    found.float().sum().backward()
    assert (found.float() - exact).square().mean() < 0.05**2 * exact.square().mean()
    assert all(parameter.grad.isfinite().all() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("name", "parameter"),
    [
        pytest.param(name, field.name, id=f"{name}-{field.name}")
        for name in ENCODERS
        for field in dataclasses.fields(ENCODERS.get(name))
        if field.metadata.get("searched")
    ],
)
def test_every_searched_parameter_changes_the_network(name, parameter):
    of = next(field for field in dataclasses.fields(ENCODERS.get(name)) if field.name == parameter)
    searched = of.metadata["searched"]
    values = (searched.low, searched.high) if isinstance(searched, Range) else searched
    found = []
    for value in values:
        module = built(encoder(name, **{parameter: value})).train()
        torch.manual_seed(1)
        found.append(module(one_hot(16)).embedding)
    for number, one in enumerate(found):
        assert all(not one.equal(other) for other in found[number + 1 :])


SPECS = [
    encoder("motif_cnn", kernel=5),
    encoder("motif_cnn", kernel=9, pool=3, depth=2, embedding=5, first_activation="relu"),
    encoder("legnet", variant="legnet", channels=16, pool=1, first_activation="silu"),
    encoder("legnet", variant="legnet", channels=6),
    encoder("legnet", variant="mpralegnet", first_activation="relu"),
    encoder("legnet", variant="mpralegnet", pool=1, dropout=0.3),
    encoder("dream_cnn", channels=20, pool=1, first_activation="relu"),
    encoder("dream_cnn"),
    encoder("dream_attn", positions=61, pool=1, first_activation="silu"),
    encoder("dream_attn", positions=8, heads=2, layers=1),
    encoder("dilated_resnet", layers=4),
    encoder("dilated_resnet", kernel=5, pool=1, first_activation="relu"),
    encoder("factorized"),
    encoder("factorized", first_activation="exp", embedding_dropout=0.3),
]
"""Positions of 8 rows for the 15 or 16 that a pool of 4 leaves; see `bases_for`."""


def bases_for(spec: Encoder) -> torch.Tensor:
    """61 bases; where a pool leaves 16 of them and positions are interpolated, 60, which leave 15."""
    return one_hot(7, 60 if spec.parameters().get("positions") == 8 else LENGTH).double()


def copied(mine: nn.Module, literal: nn.Module) -> None:
    """Give one network's numbers to the other, in order; a 1×1 convolution's weight has one axis more."""
    for ours, theirs in (
        (list(mine.parameters()), list(literal.parameters())),
        (list(mine.buffers()), list(literal.buffers())),
    ):
        for one, other in zip(ours, theirs, strict=True):
            assert one.numel() == other.numel()
            one.data.copy_(other.data.reshape(one.shape))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.name()}-{spec.parameters()['first_activation']}")
def test_a_network_is_its_literal_definition(spec, training):
    """In training without dropout; in evaluation, where the norms' running statistics are used, with it."""
    spec = without_dropout(spec) if training else spec
    torch.manual_seed(1)
    literal, mine, bases = literal_of(spec).double(), spec.module().double(), bases_for(spec)
    literal(bases)  # moves the running statistics away from 0 and 1
    copied(mine, literal)
    found, expected = mine.train(training)(bases).embedding, literal.train(training)(bases)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
    weights = torch.randn_like(found)
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    for ours, theirs in zip(mine.parameters(), literal.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad.reshape(ours.shape), rtol=1e-7, atol=1e-9)
    for ours, theirs in zip(mine.buffers(), literal.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs)


POINT_HEAD = 257
"""Weights and bias of a point head on 256 features."""


@pytest.mark.parametrize(
    ("name", "options", "published", "left_out"),
    [
        # Less two input channels (other strand, single read), and the 1×1 convolution of 64 channels to 18 bins.
        ("legnet", {}, 1_852_846, 2 * 7 * 256 + 64 * 18 + 18),
        # That of the authors' configuration, with four input channels: stem 64 (11), blocks 80, 96, 112, 128 (9).
        ("legnet", {"variant": "mpralegnet", "channels": 64}, 1_322_465, POINT_HEAD),
        # The authors' summaries for 230 bases of human DNA, whose fifth input channel is the other strand's.
        ("dream_cnn", {}, 1_945_857, (9 + 15) * 160 + POINT_HEAD),
        ("dream_attn", {}, 4_619_521, 7 * 256 + POINT_HEAD),
    ],
)
def test_a_full_size_network_has_its_authors_parameters(name, options, published, left_out):
    spec = ENCODERS.get(name).build({**ENCODERS.get(name).presets["study"], **options})
    assert size(spec.module()) == published - left_out == size(literal_of(spec))


@pytest.mark.parametrize("name", ["dream_rnn", "factorized"])
def test_a_trial_of_before_keeps_its_fingerprint(name):
    """The first activation and the options of recipes came later: at its default a trial is named as if there were none."""
    flat = preset("small", name)
    later = {
        "encoder.first_activation",
        "both_strands",
        "standardise",
        "max_shift",
        "mutation_rate",
        "ema",
        "decay_norms",
        "warm_start",
        "freeze",
    }
    before = {k: v for k, v in TrialConfig.from_flat(flat).to_flat().items() if k not in later}
    assert TrialConfig.from_flat(flat).fingerprint("a") == fingerprint(before, ("a",))
    other = TrialConfig.from_flat({**flat, "encoder.first_activation": "exp"})
    assert other.fingerprint("a") != fingerprint(before, ("a",))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("motif_cnn", {"kernel": 14}, "encoder motif_cnn: kernel must be odd, not 14"),
        ("dilated_resnet", {"kernel": 4}, "encoder dilated_resnet: kernel must be odd, not 4"),
        ("dream_cnn", {"channels": 9}, "encoder dream_cnn: channels must be even, not 9"),
        ("dream_attn", {"channels": 9}, r"channels must be a multiple of heads \(8\), not 9"),
        ("motif_cnn", {"first_activation": "gelu"}, "first_activation must be relu or exp, not 'gelu'"),
        ("legnet", {"variant": "human"}, "variant must be legnet or mpralegnet, not 'human'"),
    ],
)
def test_what_cannot_be_built_is_refused(name, options, message):
    with pytest.raises(UserError, match=message):
        ENCODERS.get(name).build(options)
