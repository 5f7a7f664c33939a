"""What each loss costs: forward and backward on one core, beside mse, a loop in Python, and a training step.

    python benchmarks/losses.py [--sizes 128,1024,4096] [--no-loops]

Each loss has a literal loop: over samples where it is a mean over them, over anchors and, of the contrastive loss, over
positives, as the study's did; what lies between one anchor and the others is vectorised. At 4096 a loop runs once. The
training step is that of the small preset with mse at a batch of that size. Rounds go through all losses in turn, so that
a slow moment of the machine strikes them alike; printed are medians, and ratios of medians.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, normalize

from nrtune.trainables.losses import LOSSES, Progress, Target
from nrtune.trainables.models.prediction import Prediction
from nrtune.trainables.training.config import TrialConfig, preset

EMBEDDING, LARGE = 256, 2048
PROGRESS = Progress(3, 4)
Loss = Callable[[Prediction, Target], Tensor]


def mse_loop(prediction: Prediction, target: Target) -> Tensor:
    """mse: a loop over samples."""
    terms = [(m - y) ** 2 for m, y in zip(prediction.mean.unbind(), target.activity.unbind(), strict=True)]
    return torch.stack(terms).mean()


def variance_loop(log_variance: Tensor, std: Tensor) -> Tensor:
    """mean (exp ℓ − s²)²: a loop over samples."""
    return torch.stack([(v.exp() - s**2) ** 2 for v, s in zip(log_variance.unbind(), std.unbind(), strict=True)]).mean()


def distributional_loop(prediction: Prediction, target: Target) -> Tensor:
    """distributional: a loop over samples."""
    return mse_loop(prediction, target) + variance_loop(prediction.predicted_log_variance, target.measured_std)


def gaussian_loop(prediction: Prediction, target: Target, weight: float) -> Tensor:
    """The Gaussian likelihood, and `weight` times the error of the variance: loops over samples."""
    log_variance = prediction.predicted_log_variance.clamp(-10, 10)
    rows = zip(prediction.mean.unbind(), log_variance.unbind(), target.activity.unbind(), strict=True)
    terms = [0.5 * (v + (y - m) ** 2 / v.exp()) for m, v, y in rows]
    return torch.stack(terms).mean() + weight * variance_loop(log_variance, target.measured_std)


def heteroscedastic_loop(prediction: Prediction, target: Target) -> Tensor:
    """heteroscedastic: a loop over samples."""
    return gaussian_loop(prediction, target, weight=0.5)


def noise_gated_loop(prediction: Prediction, target: Target) -> Tensor:
    """noise_gated: a loop over samples, and one over rows of pairs."""
    return gaussian_loop(prediction, target, weight=0.1) + 0.3 * ranking_loop(prediction, target)


def adaptive_noise_gated_loop(prediction: Prediction, target: Target) -> Tensor:
    """adaptive_noise_gated in the last epoch, where its alpha is whole."""
    return gaussian_loop(prediction, target, weight=0.1) + 0.5 * ranking_loop(prediction, target)


def noise_gated_mse_loop(prediction: Prediction, target: Target) -> Tensor:
    """noise_gated_mse: a loop over samples, and one over rows of pairs."""
    weights = [1 / (1 + s**2) for s in target.measured_std.unbind()]
    scale = torch.stack(weights).mean()
    rows = zip(weights, prediction.mean.unbind(), target.activity.unbind(), strict=True)
    error = torch.stack([weight / scale * (m - y) ** 2 for weight, m, y in rows]).mean()
    return error + 0.3 * ranking_loop(prediction, target)


def ranking_loop(prediction: Prediction, target: Target) -> Tensor:
    """rank_stability: a loop over rows, each against the rows after it."""
    mean, y, variance = prediction.mean, target.activity, target.measured_std.square()
    losses, weights = [], []
    for i in range(len(y) - 1):
        other = torch.arange(i + 1, len(y))[y[i + 1 :] != y[i]]
        weights.append(torch.sigmoid(-(variance[i] + variance[other])).clamp(min=0.01))
        true = (y[i] > y[other]).float()
        losses.append(binary_cross_entropy_with_logits(mean[i] - mean[other], true, reduction="none"))
    weight = torch.cat(weights)
    return (weight / weight.mean() * torch.cat(losses)).mean()


def anchor_masks(target: Target, activity_quantile: float) -> tuple[Tensor, Tensor]:
    """(low, similar) as defined, the quantile of differences from a sort."""
    y, std = target.activity, target.measured_std
    difference = (y[:, None] - y[None]).abs()
    different = difference[difference != 0].sort().values
    position = activity_quantile * (len(different) - 1)
    below = int(position)
    limit = torch.lerp(different[below], different[min(below + 1, len(different) - 1)], position - below)
    return std < torch.quantile(std, 0.5), difference < limit


def contrastive_loop(prediction: Prediction, target: Target) -> Tensor:
    """contrastive_anchor: a loop over anchors and positives."""
    low, similar = anchor_masks(target, 0.1)
    z = normalize(prediction.embedding, dim=1)
    terms = []
    for i in torch.nonzero(low).flatten().tolist():
        positives, negatives = similar[i] & low, similar[i] & ~low
        positives[i] = False
        of_negatives = torch.exp(z[negatives] @ z[i] / 0.1).sum()
        if negatives.any():
            for of_positive in torch.exp(z[positives] @ z[i] / 0.1).unbind():
                terms.append(-torch.log(of_positive / (of_positive + of_negatives)))
    return torch.stack(terms).mean() + (prediction.mean - target.activity).square().mean()


def triplet_loop(prediction: Prediction, target: Target) -> Tensor:
    """triplet_anchor: a loop over anchors."""
    low, similar = anchor_masks(target, 0.2)
    z = normalize(prediction.embedding, dim=1)
    terms = []
    for i in torch.nonzero(low).flatten().tolist():
        positives, negatives = similar[i] & low, similar[i] & ~low
        positives[i] = False
        if positives.any() and negatives.any():
            farthest = torch.linalg.vector_norm(z[positives] - z[i], dim=1).max()
            nearest = torch.linalg.vector_norm(z[negatives] - z[i], dim=1).min()
            terms.append(torch.relu(farthest - nearest + 0.5))
    return torch.stack(terms).mean() + (prediction.mean - target.activity).square().mean()


LOOPS: dict[str, Loss] = {
    "mse": mse_loop,
    "distributional": distributional_loop,
    "heteroscedastic": heteroscedastic_loop,
    "noise_gated": noise_gated_loop,
    "adaptive_noise_gated": adaptive_noise_gated_loop,
    "noise_gated_mse": noise_gated_mse_loop,
    "rank_stability": ranking_loop,
    "contrastive_anchor": contrastive_loop,
    "triplet_anchor": triplet_loop,
}


def milliseconds(loss: Loss, n: int, seed: int) -> tuple[float, float]:
    """Time of a forward and backward pass on a random batch, and the loss."""
    generator = torch.Generator().manual_seed(seed)
    activity, std = torch.randn(n, generator=generator), torch.rand(n, generator=generator)
    made = [torch.randn(shape, generator=generator, requires_grad=True) for shape in ((n,), (n,), (n, EMBEDDING))]
    started = time.perf_counter()
    value = loss(Prediction(*made, {}), Target(activity, std))
    value.backward()
    return 1e3 * (time.perf_counter() - started), value.item()


def step_milliseconds(n: int) -> float:
    """Time of one training step of the small preset with mse."""
    config = TrialConfig.from_flat({**preset("small"), "batch_size": n})
    model = config.build_model()
    optimiser = torch.optim.AdamW(model.parameters(), fused=True)
    tokens, target = torch.randint(0, 4, (n, 230)).to(torch.uint8), Target(torch.randn(n), torch.rand(n))
    started = time.perf_counter()
    config.loss(model(tokens), target, PROGRESS).backward()
    optimiser.step()
    return 1e3 * (time.perf_counter() - started)


def measure(n: int, with_loops: bool) -> None:
    """Print one size's table."""
    ours: dict[str, Loss] = {}
    for name in LOSSES:
        built = LOSSES.get(name).build({})
        ours[name] = lambda prediction, target, built=built: built(prediction, target, PROGRESS)
    loops = LOOPS if with_loops else {}
    rounds, loop_rounds = (5, 1) if n > LARGE else (15, 2)
    times: dict[str, list[float]] = {name: [] for name in ours}
    steps = []
    for seed in range(rounds):
        for name, loss in ours.items():
            times[name].append(milliseconds(loss, n, seed)[0])
        steps.append(step_milliseconds(n))
    looped: dict[str, float] = {}
    for name, loop in loops.items():
        taken, value = min(milliseconds(loop, n, seed=0) for _ in range(loop_rounds))
        looped[name] = taken
        difference = abs(value - milliseconds(ours[name], n, seed=0)[1])
        if difference > 1e-4 * max(1.0, abs(value)):
            raise AssertionError(f"{name}: the loop gives another loss, by {difference}")
    median = {name: statistics.median(seen[1:]) for name, seen in times.items()}
    step = statistics.median(steps[1:])
    write = sys.stdout.write
    write(f"\nn = {n}; a training step with mse takes {step:.0f} ms\n\n")
    write("| loss | ms | of mse | loop | added to a step |\n|---|---|---|---|---|\n")
    for name, taken in sorted(median.items(), key=lambda item: item[1]):
        loop = f"{looped[name]:.0f} ms, {looped[name] / taken:.0f} times as long" if name in looped else "–"
        share = (taken - median["mse"]) / step
        write(f"| {name} | {taken:.2f} | {taken / median['mse']:.1f} | {loop} | {share:.1%} |\n")


def main() -> None:
    """Run and print Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="128,1024,4096")
    parser.add_argument("--no-loops", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for size in arguments.sizes.split(","):
        measure(int(size), not arguments.no_loops)


if __name__ == "__main__":
    main()
