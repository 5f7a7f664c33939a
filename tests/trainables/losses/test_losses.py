"""Every loss: against its literal definition, on degenerate batches, and as a thing that can be trained."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import literal
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.losses import LOSSES, Progress, Target
from nrtune.trainables.losses import _anchors as anchors
from nrtune.trainables.losses import _pairwise as pairwise
from nrtune.trainables.losses._anchors import quantile_of_differences
from nrtune.trainables.models.heads import HEADS_WITH_LOG_VARIANCE
from nrtune.trainables.models.prediction import Prediction
from nrtune.trainables.training.config import TrialConfig, preset

PROGRESS = Progress(2, 5)

LITERAL = {
    "mse": lambda b, p: literal.mse(b["mean"], b["activity"]),
    "rank_stability": lambda b, p: literal.rank_stability(b["mean"], b["activity"], b["std"], **p),
    "distributional": lambda b, p: literal.distributional(b["mean"], b["log_variance"], b["activity"], b["std"], **p),
    "heteroscedastic": lambda b, p: literal.heteroscedastic(b["mean"], b["log_variance"], b["activity"], b["std"], **p),
    "noise_gated": lambda b, p: literal.noise_gated(b["mean"], b["log_variance"], b["activity"], b["std"], **p),
    "adaptive_noise_gated": lambda b, p: literal.adaptive_noise_gated(
        b["mean"], b["log_variance"], b["activity"], b["std"], p["alpha"], p["beta"], p["k"],
        round(p["warmup_fraction"] * PROGRESS.epochs), *PROGRESS,
    ),
    "noise_gated_mse": lambda b, p: literal.noise_gated_mse(b["mean"], b["activity"], b["std"], **p),
    "contrastive_anchor": lambda b, p: literal.contrastive_anchor(b["embedding"], b["mean"], b["activity"], b["std"], **p),
    "triplet_anchor": lambda b, p: literal.triplet_anchor(b["embedding"], b["mean"], b["activity"], b["std"], **p),
}  # fmt: skip
"""A loss without a line here fails `test_equals_its_literal_definition`."""

INPUTS = ("mean", "log_variance", "embedding")
"""What a model makes of a loss's inputs."""

PARAMETERS = {
    "rank_stability": [{}, {"k": 0.0}, {"k": 10.0, "sigma": 2.0}, {"weight_floor": 0.3}],
    "distributional": [{}, {"lambda_var": 0.05}],
    "heteroscedastic": [{}, {"lambda_var": 5.0}],
    "noise_gated": [{}, {"alpha": 2.0, "beta": 0.5, "k": 3.0}, {"alpha": 0.0}],
    "adaptive_noise_gated": [{"warmup_fraction": f} for f in (0.0, 0.2, 0.4, 0.6)],
    "noise_gated_mse": [{}, {"alpha": 2.0, "k": 0.1}],
    "contrastive_anchor": [
        {},
        {"temperature": 0.02, "activity_quantile": 0.5},
        {"noise_quantile": 0.2, "activity_quantile": 1.0},
        {"noise_quantile": 1.0},
        {"activity_quantile": 0.0},
    ],
    "triplet_anchor": [{}, {"margin": 0.0, "activity_quantile": 0.6}, {"noise_quantile": 0.8}],
}


def batch(n: int, seed: int = 0, **fixed: float) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    made = {
        "mean": generator.normal(size=n),
        "log_variance": generator.normal(size=n),
        "activity": (8 * generator.normal(size=n)).round() / 8,  # some are equal, and differences of eighths are exact
        "std": generator.gamma(2, 0.3, size=n),
        "embedding": generator.normal(size=(n, 4)),
    }
    return {name: np.full_like(values, fixed[name]) if name in fixed else values for name, values in made.items()}


def call(name: str, parameters: dict[str, float], made: dict[str, np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss and its gradient by mean, log-variance and embedding, one after the other."""
    inputs = predicted(made)
    loss = compute(name, parameters, made, *inputs)
    gradients = torch.autograd.grad(loss, inputs, allow_unused=True, materialize_grads=True)
    return loss.detach(), torch.cat([gradient.flatten() for gradient in gradients])


def predicted(made: dict[str, np.ndarray]) -> tuple[torch.Tensor, ...]:
    """The three inputs of a loss that a model makes."""
    return tuple(torch.tensor(made[key], requires_grad=True) for key in INPUTS)


def compute(
    name: str, parameters: dict[str, float], made: dict[str, np.ndarray], *inputs: torch.Tensor
) -> torch.Tensor:
    prediction = Prediction(*inputs, {})
    target = Target(torch.tensor(made["activity"]), torch.tensor(made["std"]))
    return LOSSES.get(name).build(parameters)(prediction, target, PROGRESS)


def config_for(loss: str, **more: object) -> TrialConfig:
    head = "distributional" if LOSSES.get(loss).needs_log_variance else "point"
    return TrialConfig.from_flat({**preset("small"), "loss": loss, "head": head, **more})


@pytest.mark.parametrize("name", LOSSES)
def test_equals_its_literal_definition(name):
    for parameters in PARAMETERS.get(name, [{}]):
        for n, seed in ((2, 0), (7, 1), (40, 2), (150, 3)):
            made = batch(n, seed)
            defaults = {k: v for k, v in LOSSES.get(name).build(parameters).parameters().items()}
            expected = LITERAL[name](made, defaults)
            assert call(name, parameters, made)[0].item() == pytest.approx(expected, rel=1e-12, abs=1e-14)


def test_likelihood_cuts_the_log_variance():
    made = batch(9) | {"log_variance": np.linspace(-30, 30, 9)}
    expected = literal.heteroscedastic(made["mean"], made["log_variance"], made["activity"], made["std"], 0.5)
    assert call("heteroscedastic", {}, made)[0].item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(
    ("n", "fixed"),
    [
        (1, {}),
        (2, {"activity": 1.0}),
        (8, {"activity": 1.0}),
        (8, {"mean": 0.0}),
        (8, {"std": 0.0}),
        (8, {"std": 50.0}),
        (8, {"mean": 1e4}),
        (8, {"activity": 0.0, "mean": 0.0, "std": 0.0}),
        (8, {"embedding": 0.0}),
        (8, {"embedding": 1.0}),
        (8, {"embedding": 1e-30}),
        (150, {"embedding": 1.0}),
    ],
)
def test_is_finite_on_degenerate_batches(name, n, fixed):
    loss, gradient = call(name, {}, batch(n, **fixed))
    assert math.isfinite(loss.item())
    assert gradient.abs().max() < 1e9  # NaN and infinity fail this too


@pytest.mark.parametrize("name", ["contrastive_anchor", "triplet_anchor"])
def test_an_embedding_without_a_direction_gets_no_gradient(name):
    """One row of zeros, as a ReLU may leave it, among others: an anchor's or a negative's, whichever it is."""
    for row in range(8):
        made = batch(8)
        made["embedding"][row] = 0
        parameters = {"activity_quantile": 1.0}
        inputs = predicted(made)
        gradient = torch.autograd.grad(compute(name, parameters, made, *inputs), inputs[-1])[0]
        assert (gradient[row] == 0).all()
        assert 0 < gradient.abs().max() < 10


@pytest.mark.parametrize("name", LOSSES)
def test_the_gradient_is_that_of_the_loss(name):
    """Against finite differences, blocks of several kinds included."""
    for n in (9, 150):
        made = batch(n, seed=4)
        inputs = predicted(made)
        assert torch.autograd.gradcheck(lambda *x, made=made: compute(name, {}, made, *x), inputs, fast_mode=True)


@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_of_4096_in_float32_is_the_sum_of_its_definition(name):
    """Blocks, sorting and the counted quantile at full size, against the float64 result."""
    made = batch(4096, seed=5)
    wide = call(name, {}, made)
    narrow = call(name, {}, {key: values.astype(np.float32) for key, values in made.items()})
    assert narrow[0].item() == pytest.approx(wide[0].item(), rel=1e-4)
    assert torch.linalg.norm(narrow[1].double() - wide[1]) <= 1e-3 * torch.linalg.norm(wide[1])


@pytest.mark.parametrize("name", LOSSES)
def test_one_block_is_as_good_as_many(name, monkeypatch):
    """As on a GPU."""
    made = batch(300, seed=6)
    blocks = call(name, {}, made)
    monkeypatch.setattr(anchors, "_is_banded", lambda device: False)
    monkeypatch.setitem(pairwise.BLOCK_ROWS, "cpu", 4096)
    whole = call(name, {}, made)
    assert whole[0].item() == pytest.approx(blocks[0].item(), rel=1e-12)
    assert torch.allclose(whole[1], blocks[1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_nothing_waits_for_a_gpu(name, monkeypatch):
    """Tensors without values: what would have to look at one, and thus wait until a device has it, raises."""
    monkeypatch.setattr(anchors, "_is_banded", lambda device: False)
    made = batch(300)
    with FakeTensorMode():
        call(name, {}, made)


MEMORY = """
import resource, sys
sys.path[:0] = ["tests/helpers", "tests/trainables/losses"]
from test_losses import batch, call
import numpy as np
small, large = ({k: v.astype(np.float32) for k, v in batch(n).items()} for n in (64, 4096))
call(sys.argv[1], {}, small)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
call(sys.argv[1], {}, large)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.end_to_end
@pytest.mark.parametrize(
    "name",
    [
        "contrastive_anchor",
        pytest.param("rank_stability", marks=pytest.mark.slow),
        pytest.param("triplet_anchor", marks=pytest.mark.slow),
    ],
)
def test_memory_at_4096_is_less_than_one_matrix(name):
    """n × n values of float32; anchors × positives × negatives would be gigabytes."""
    fresh = subprocess.run([sys.executable, "-c", MEMORY, name], capture_output=True, text=True, check=True)
    assert 1024 * int(fresh.stdout) < 4 * 4096**2


@pytest.mark.parametrize(("n", "fixed"), [(1, {}), (8, {"activity": 1.0})])
def test_ranking_without_a_pair_is_zero_with_zero_gradient(n, fixed):
    loss, gradient = call("rank_stability", {}, batch(n, **fixed))
    assert loss.item() == 0
    assert (gradient == 0).all()


def test_ranking_by_hand():
    """Two rows, y_0 > y_1, no noise: one pair of weight 1; mean 0 and 0 gives log 2, mean ln 3 and 0 gives log 4/3."""
    made = batch(2) | {"activity": np.array([1.0, 0.0]), "std": np.zeros(2)}
    assert call("rank_stability", {}, made | {"mean": np.zeros(2)})[0].item() == pytest.approx(math.log(2))
    assert call("rank_stability", {}, made | {"mean": np.array([math.log(3), 0])})[0].item() == pytest.approx(
        math.log(4 / 3)
    )


def test_the_ranking_is_switched_on_as_the_study_did():
    """10 of 80 epochs without, then up in 70 equal steps to alpha in the last."""
    loss = LOSSES.get("adaptive_noise_gated").build({"alpha": 0.7, "warmup_fraction": 10 / 80})
    alphas = [loss.alpha_at(Progress(epoch, 80)) for epoch in range(80)]
    assert alphas == pytest.approx([literal.adaptive_alpha(0.7, 10, epoch, 80) for epoch in range(80)])
    assert alphas[:10] == [0] * 10
    assert alphas[10] == pytest.approx(0.01)
    assert alphas[-1] == pytest.approx(0.7)
    assert loss.alpha_at(Progress(0, 1)) == pytest.approx(0.7)


def two_anchors() -> dict[str, np.ndarray]:
    """Clean rows 0 and 1 embed alike, noisy row 2 at a right angle; all three of like activity; row 3 is far away."""
    embedding = np.array([[2.0, 0], [1, 0], [0, 3], [5, 5]])
    activity = np.array([0, 0.25, 0.125, 9])
    std = np.array([0.1, 0.1, 2, 2])
    return batch(4) | {"embedding": embedding, "activity": activity, "mean": activity, "std": std}


def test_contrast_by_hand():
    """−log(e/(e + 1)) at temperature 1, for both pairs; the squared error is 0."""
    made = two_anchors()
    loss, _ = call("contrastive_anchor", {"temperature": 1.0, "activity_quantile": 0.6}, made)
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-1)))


def test_triplets_by_hand():
    """0 to the positive, √2 to the negative, margin 2."""
    made = two_anchors()
    loss, _ = call("triplet_anchor", {"margin": 2.0, "activity_quantile": 0.6}, made)
    assert loss.item() == pytest.approx(2 - math.sqrt(2))


@given(
    st.lists(st.integers(-40, 40), min_size=1, max_size=40).map(lambda eighths: [e / 8 for e in eighths]),
    st.floats(0, 1),
)
def test_the_counted_quantile_is_the_quantile(activity, q):
    differences = [abs(a - b) for a in activity for b in activity if a != b]
    found = quantile_of_differences(torch.tensor(sorted(activity), dtype=torch.float64), q).item()
    assert found == pytest.approx(literal.quantile(differences, q) if differences else 0, rel=1e-12)


def test_noisy_pairs_count_less():
    """Rows 0 and 1 are ranked right, row 2 wrong: the noisier row 2 is, the smaller the loss."""
    made = batch(3) | {"mean": np.array([2.0, 1.0, 3.0]), "activity": np.array([2.0, 1.0, 0.0])}
    losses = [call("rank_stability", {}, made | {"std": np.array([0.1, 0.1, s])})[0].item() for s in (0.1, 1.0, 2.0)]
    assert losses[0] > losses[1] > losses[2]


@pytest.mark.parametrize("name", LOSSES)
def test_does_not_depend_on_the_order_of_the_batch(name):
    made = batch(20)
    order = np.random.default_rng(1).permutation(20)
    shuffled = {key: values[order] for key, values in made.items()}
    assert call(name, {}, made)[0].item() == pytest.approx(call(name, {}, shuffled)[0].item(), rel=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_falls_on_sixteen_sequences(name):
    torch.manual_seed(0)
    tiny = {"encoder.channels": 16, "encoder.lstm_units": 8}
    config = config_for(name, **tiny, **{"encoder.dropout": 0.0, "encoder.conv_dropout": 0.0})
    model = config.build_model()
    tokens = torch.randint(0, 4, (16, 60)).to(torch.uint8)
    target = Target(torch.randn(16), torch.rand(16))
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(100):
        loss = config.loss(model(tokens), target, PROGRESS)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert min(losses) < 0.7 * losses[0]  # not the last: a likelihood jumps where a variance is small


@pytest.fixture(scope="module")
def of_a_fresh_process() -> dict[str, str]:
    """Every loss of thirty rows, in a process that has done nothing else."""
    code = (
        "import json, sys; sys.path[:0] = ['tests/helpers', 'tests/trainables/losses'];"
        "from test_losses import LOSSES, batch, call;"
        "print(json.dumps({name: call(name, {}, batch(30))[0].item().hex() for name in LOSSES}))"
    )
    fresh = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return dict(json.loads(fresh.stdout))


@pytest.mark.end_to_end
@pytest.mark.parametrize("name", LOSSES)
def test_gives_the_same_number_in_a_fresh_process(name, of_a_fresh_process):
    assert float.fromhex(of_a_fresh_process[name]) == call(name, {}, batch(30))[0].item()


@pytest.mark.parametrize("name", LOSSES)
def test_combinations_that_cannot_work_are_refused(name):
    loss = LOSSES.get(name)
    for head in ("point", "distributional", "dual"):
        flat = {**preset("small"), "loss": name, "head": head}
        if loss.needs_log_variance == (head in HEADS_WITH_LOG_VARIANCE):
            assert TrialConfig.from_flat(flat).loss.name() == name
        else:
            with pytest.raises(UserError, match="log-variance"):
                TrialConfig.from_flat(flat)
