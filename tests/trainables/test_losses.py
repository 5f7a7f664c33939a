"""Every loss: against its literal definition, on degenerate batches, and as a thing that can be trained."""

from __future__ import annotations

import math
import subprocess
import sys

import literal
import numpy as np
import pytest
import torch

from trainables.config import TrialConfig, preset
from trainables.errors import UserError
from trainables.heads import HEADS_WITH_LOG_VARIANCE
from trainables.losses import LOSSES, Progress, Target
from trainables.model import Model, Prediction

PROGRESS = Progress(2, 5)

LITERAL = {
    "mse": lambda b, p: literal.mse(b["mean"], b["activity"]),
    "rank_stability": lambda b, p: literal.rank_stability(b["mean"], b["activity"], b["std"], **p),
    "distributional": lambda b, p: literal.distributional(b["mean"], b["log_variance"], b["activity"], b["std"], **p),
    "heteroscedastic": lambda b, p: literal.heteroscedastic(b["mean"], b["log_variance"], b["activity"], b["std"], **p),
}
"""A loss without a line here fails `test_equals_its_literal_definition`."""

PARAMETERS = {
    "rank_stability": [{}, {"k": 0.0}, {"k": 10.0, "sigma": 2.0}, {"weight_floor": 0.3}],
    "distributional": [{}, {"lambda_var": 0.05}],
    "heteroscedastic": [{}, {"lambda_var": 5.0}],
}


def batch(n: int, seed: int = 0, **fixed: float) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    made = {
        "mean": generator.normal(size=n),
        "log_variance": generator.normal(size=n),
        "activity": generator.normal(size=n).round(1),  # rounded: some activities are equal
        "std": generator.gamma(2, 0.3, size=n),
    }
    return {name: np.full(n, fixed[name]) if name in fixed else values for name, values in made.items()}


def call(name: str, parameters: dict[str, float], made: dict[str, np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss and its gradient by the mean."""
    mean = torch.tensor(made["mean"], requires_grad=True)
    log_variance = torch.tensor(made["log_variance"])
    prediction = Prediction(mean, log_variance, mean[:, None], {})
    loss = LOSSES.get(name).build(parameters)(
        prediction, Target(torch.tensor(made["activity"]), torch.tensor(made["std"])), PROGRESS
    )
    (gradient,) = torch.autograd.grad(loss, mean)
    return loss.detach(), gradient


def config_for(loss: str, **more: object) -> TrialConfig:
    head = "distributional" if LOSSES.get(loss).needs_log_variance else "point"
    return TrialConfig.from_flat({**preset("small"), "loss": loss, "head": head, **more})


@pytest.mark.parametrize("name", LOSSES)
def test_equals_its_literal_definition(name):
    for parameters in PARAMETERS.get(name, [{}]):
        for n, seed in ((2, 0), (7, 1), (40, 2)):
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
    ],
)
def test_is_finite_on_degenerate_batches(name, n, fixed):
    loss, gradient = call(name, {}, batch(n, **fixed))
    assert math.isfinite(loss.item())
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize(("n", "fixed"), [(1, {}), (8, {"activity": 1.0})])
def test_ranking_without_a_pair_is_zero_with_zero_gradient(n, fixed):
    loss, gradient = call("rank_stability", {}, batch(n, **fixed))
    assert loss.item() == 0
    assert (gradient == 0).all()


def test_ranking_by_hand():
    """Two rows, y_0 > y_1, no noise: one pair of weight 1; mean 0 and 0 gives log 2, mean ln 3 and 0 gives log 4/3."""
    made = {"activity": np.array([1.0, 0.0]), "std": np.zeros(2), "log_variance": np.zeros(2)}
    assert call("rank_stability", {}, made | {"mean": np.zeros(2)})[0].item() == pytest.approx(math.log(2))
    assert call("rank_stability", {}, made | {"mean": np.array([math.log(3), 0])})[0].item() == pytest.approx(
        math.log(4 / 3)
    )


def test_noisy_pairs_count_less():
    """Rows 0 and 1 are ranked right, row 2 wrong: the noisier row 2 is, the smaller the loss."""
    made = {"mean": np.array([2.0, 1.0, 3.0]), "activity": np.array([2.0, 1.0, 0.0]), "log_variance": np.zeros(3)}
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
    config = config_for(name, **{"encoder.dropout": 0.0, "encoder.conv_dropout": 0.0})
    model = Model(config)
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
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("name", LOSSES)
def test_gives_the_same_number_in_a_fresh_process(name):
    code = (
        "import sys; sys.path[:0] = ['tests', 'tests/trainables'];"
        f"from test_losses import batch, call; print(call({name!r}, {{}}, batch(30))[0].item().hex())"
    )
    fresh = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float.fromhex(fresh.stdout.strip()) == call(name, {}, batch(30))[0].item()


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
