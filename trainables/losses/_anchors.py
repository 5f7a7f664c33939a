"""Terms that set noisy sequences against clean ones of about the same activity, in the space of embeddings.

A row is *low* if its aleatoric_std is under the batch's `noise_quantile` of them; two rows are *similar* if their
activities differ by less than the `activity_quantile` of the batch's non-zero differences. An anchor is a low row; its
positives are the other low rows similar to it, its negatives the similar rows that are not low.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import normalize, relu, softplus

from nrtune.trainables.losses._pairwise import LINEAR_ABOVE

ROUNDS = 40
"""Halvings in the search for a quantile: it is off by 2^-40 of the range of activities at most, less than float32's steps
at the ends of that range; differences that float32 can tell apart near 0 alone may be taken for one another."""

SHORTEST = 1e-12
"""Embeddings that are not longer than this have no direction: normalizing one would multiply its gradient by 1e12."""

ANCHORS = 64
"""Anchors that are worked on at a time on a CPU: few enough that little lies between those of one block."""

EXCLUDED = 1e30
"""Stands for infinity where a masked value must not reach a maximum: infinity itself would give NaN gradients."""


class _Sorted(NamedTuple):
    """A batch in ascending order of activity; unit embeddings z: of length 1, or 0 where SHORTEST says so."""

    z: Float[Tensor, "n d"]
    activity: Float[Tensor, " n"]
    low: Bool[Tensor, " n"]
    limit: Float[Tensor, ""]


class _Block(NamedTuple):
    """Some anchors (rows of the sorted batch), the columns that can be similar to one of them, and who is what to whom."""

    rows: Int[Tensor, " a"]
    columns: slice
    positive: Bool[Tensor, "a c"]
    negative: Bool[Tensor, "a c"]


def contrastive_term(
    embedding: Float[Tensor, "n d"],
    activity: Float[Tensor, " n"],
    aleatoric_std: Float[Tensor, " n"],
    *,
    temperature: float,
    noise_quantile: float,
    activity_quantile: float,
) -> Float[Tensor, ""]:
    """Mean over (anchor, positive) pairs of −log softmax of the positive among itself and the anchor's negatives.

    Logits are cosines over the temperature; anchors without a negative have no pair; no pair gives 0.
    """
    batch = _sort(embedding, activity, aleatoric_std, noise_quantile, activity_quantile)
    loss: Tensor = _Contrastive.apply(batch.z, batch, temperature)  # type: ignore[no-untyped-call]
    return loss


def triplet_term(
    embedding: Float[Tensor, "n d"],
    activity: Float[Tensor, " n"],
    aleatoric_std: Float[Tensor, " n"],
    *,
    margin: float,
    noise_quantile: float,
    activity_quantile: float,
) -> Float[Tensor, ""]:
    """Mean over anchors of relu(distance to the farthest positive − distance to the nearest negative + margin).

    Distances are Euclidean between unit embeddings; anchors without both have no term; no anchor gives 0.
    """
    z, *rest = _sort(embedding, activity, aleatoric_std, noise_quantile, activity_quantile)
    with torch.no_grad():  # which rows are picked has no gradient; their distances are then taken exactly
        picked = [_hardest(z, block) for block in _blocks(_Sorted(z, *rest))]
        anchor, positive, negative, complete = (torch.cat(parts) for parts in zip(*picked, strict=True))
    distance_positive = torch.linalg.vector_norm(z[anchor] - z[positive], dim=1)
    distance_negative = torch.linalg.vector_norm(z[anchor] - z[negative], dim=1)
    terms = torch.where(complete, relu(distance_positive - distance_negative + margin), 0)
    return terms.sum() / complete.sum().clamp(min=1)


def quantile_of_differences(ascending: Float[Tensor, " n"], q: float) -> Float[Tensor, ""]:
    """The q-quantile of |y_i − y_j| over all pairs i ≠ j that differ, interpolated linearly; 0 where none does.

    Pairs are counted, not listed: O(n log n) a round, where a sort of n² differences would take most of a loss's time.
    """
    y, n = ascending.double(), len(ascending)
    start = torch.arange(1, n + 1, device=y.device)

    def pairs_within(difference: Tensor) -> Tensor:
        """How many pairs i < j differ by at most this."""
        return (torch.searchsorted(y, y + difference, right=True) - start).sum()

    equal = pairs_within(y.new_zeros(()))
    different = n * (n - 1) // 2 - equal
    # Each difference counts twice, as (i, j) and as (j, i): position p of that list is position p // 2 of this one.
    position = q * (2 * different - 1).clamp(min=0).double()
    below = position.floor()
    wanted = equal + (below / 2).floor() + 1
    low, high = y.new_zeros(()), 1.001 * (y[-1] - y[0])  # more than rounding can take from the largest difference
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        enough = pairs_within(middle) >= wanted
        low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
    # The quantile lies in (low, high]: it is the largest difference of a pair up to there.
    last = torch.searchsorted(y, y + high, right=True)
    found = (y[last - 1] - y).max()
    next_larger = torch.where(last < n, y[last.clamp(max=n - 1)] - y, math.inf).min()
    same = (pairs_within(high) >= equal + ((below + 1) / 2).floor() + 1) | (next_larger == math.inf)
    following = torch.where(same, found, next_larger)
    quantile = torch.where(different > 0, found + (position - below) * (following - found), 0)
    return quantile.to(ascending.dtype)


def _sort(
    embedding: Tensor, activity: Tensor, aleatoric_std: Tensor, noise_quantile: float, activity_quantile: float
) -> _Sorted:
    activity, order = torch.sort(activity)
    low = (aleatoric_std < torch.quantile(aleatoric_std, noise_quantile))[order]
    limit = quantile_of_differences(activity, activity_quantile)
    return _Sorted(_unit(embedding[order]), activity, low, limit)


def _unit(embedding: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Rows at length 1; a row without a direction is 0 and gets a gradient of 0."""
    has_direction = torch.linalg.vector_norm(embedding.detach(), dim=1, keepdim=True) > SHORTEST
    return torch.where(has_direction, normalize(embedding, dim=1, eps=SHORTEST), 0)


def _blocks(batch: _Sorted) -> Iterator[_Block]:
    """All anchors: on a CPU block by block, each with the low rows and the columns near them only."""
    y, n = batch.activity, len(batch.activity)
    banded = _is_banded(y.device)
    rows = batch.low.nonzero().squeeze(1) if banded else torch.arange(n, device=y.device)
    margin = 1.001 * batch.limit  # more than rounding can move a bound; who is similar is decided below
    for block in rows.split(ANCHORS if banded else n):
        columns = slice(0, n)
        if banded and len(block):
            first = int(torch.searchsorted(y, y[block[0]] - margin))
            columns = slice(first, int(torch.searchsorted(y, y[block[-1]] + margin, right=True)))
        similar = (y[block, None] - y[None, columns]).abs() < batch.limit
        similar &= batch.low[block, None]
        low = batch.low[None, columns]
        itself = block[:, None] == torch.arange(n, device=y.device)[None, columns]
        yield _Block(block, columns, similar & low & ~itself, similar & ~low)


def _is_banded(device: torch.device) -> bool:
    """Whether to leave out what can't matter: to know what that is, one would have to wait for a GPU."""
    return device.type == "cpu"


def _hardest(z: Tensor, block: _Block) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Anchors, each one's farthest positive and nearest negative (any row where it has none), and whether it has both."""
    if not len(block.rows):
        return block.rows, block.rows, block.rows, block.rows.bool()
    cosine = z[block.rows] @ z[block.columns].T
    farthest = torch.where(block.positive, cosine, EXCLUDED).argmin(dim=1) + block.columns.start
    nearest = torch.where(block.negative, cosine, -EXCLUDED).argmax(dim=1) + block.columns.start
    return block.rows, farthest, nearest, block.positive.any(dim=1) & block.negative.any(dim=1)


class _Contrastive(torch.autograd.Function):
    """The loss and its gradient in one pass over the blocks."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, batch: _Sorted, temperature: float) -> Tensor:
        loss, pairs, gradient = z.new_zeros(()), z.new_zeros(()), torch.zeros_like(z)
        for rows, columns, positive, negative in _blocks(batch):
            if not len(rows):
                continue
            logit = z[rows] @ z[columns].T / temperature
            valid = positive & negative.any(dim=1, keepdim=True)
            of_negatives = torch.where(negative, logit, -EXCLUDED).logsumexp(dim=1, keepdim=True)
            excess = of_negatives - logit
            loss += torch.where(valid, softplus(excess, threshold=LINEAR_ABOVE), 0).sum()
            pairs += valid.sum()
            # d softplus(e)/de = sigmoid(e); de/d logit is −1 of the positive and softmax of each negative.
            slope = torch.where(valid, torch.sigmoid(excess), 0)
            share = torch.where(negative, (logit - of_negatives).clamp(max=0).exp(), 0)
            by_logit = slope.sum(dim=1, keepdim=True) * share - slope
            gradient.index_add_(0, rows, by_logit @ z[columns])
            gradient[columns] += by_logit.T @ z[rows]
        pairs = pairs.clamp(min=1)
        ctx.save_for_backward(gradient / (temperature * pairs))
        return loss / pairs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return gradients[0] * gradient, None, None
