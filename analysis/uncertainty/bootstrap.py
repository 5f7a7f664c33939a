"""Correlations of resampled blocks of rows, exactly and for all resamples at once, by matrix products.

A resample is a count for each block of rows. The rank of a row in it, ties averaged, is a sum over blocks of (count ×
rank among that block's rows), so the sums of products of ranks that Spearman's correlation needs are sums over triples
of blocks of (product of three counts × a coefficient): one matrix product for all resamples and predictions. Nothing is
sorted twice, and nothing grows with the rows times the resamples.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CHUNK_BYTES = 64 << 20
"""Memory of the products of counts that are held at a time."""

MANY_BLOCKS = 60
"""Above so many blocks their triples cost more than ranking the rows of each resample."""

FEWEST_ROWS = 16
"""Predictions that are computed with at a time at least: the last bits of a product of one row alone are another's."""

ROUNDING = 1e-12
"""A centred sum of squares below this part of the uncentred one is that of a constant."""


def position_blocks(pos: Ints, size: int) -> Ints:
    """Number the blocks of `size` consecutive positions, (n,) from 0, those without a row left out."""
    index: Ints = np.unique((pos - pos.min()) // size, return_inverse=True)[1].astype(np.int64)
    return index


def random_blocks(n: int, most: int, generator: np.random.Generator) -> Ints:
    """Blocks of independent rows: n rows dealt at random into `most` blocks, or one block a row, (n,)."""
    order = generator.permutation(n)
    index = np.empty(n, np.int64)
    index[order] = np.arange(n) % most
    return index


def draw_counts(blocks: int, resamples: int, generator: np.random.Generator) -> Floats:
    """How often each block is drawn in each resample, (resamples, blocks).

    One block fewer is drawn than there are: so the variance of resampled means is the unbiased estimate (Rao and Wu
    1988, doi:10.1080/01621459.1988.10478591), not one that is too small by 1/blocks.
    """
    drawn = max(blocks - 1, 1)
    return generator.multinomial(drawn, np.full(blocks, 1 / blocks), resamples).astype(np.float64)


class Rows(Protocol):
    """An array (P, n), or what gives slices of one, so that not all of it need be there."""

    def __len__(self) -> int: ...

    def __getitem__(self, some: slice, /) -> Floats: ...


def spearman_samples(predictions: Rows, value: Floats, block: Ints, counts: Floats) -> Floats:
    """Spearman's correlation of each prediction (P, n) with value (n,) in each resample, (P, resamples).

    block: (n,) the block of each row. counts: (resamples, blocks). NaN where a resample holds a constant.
    """
    resamples, blocks = counts.shape
    if blocks > MANY_BLOCKS:
        return _spearman_of_many_blocks(predictions, value, block, counts)
    triples = _Triples(blocks)
    of_value = _block_ranks(value, block, blocks)
    # A row's rank, less one half, is on average half the number of rows: what is left is a sum of squares about it.
    rows = counts @ np.bincount(block, minlength=blocks)
    found = []
    for some in even_parts(len(predictions), CHUNK_BYTES // (16 * len(triples.first))):
        columns = [triples.coefficients(of_value, of_value, block)]
        for prediction in predictions[some.start : some.stop]:
            ranks = _block_ranks(prediction, block, blocks)
            columns += [triples.coefficients(ranks, of_value, block), triples.coefficients(ranks, ranks, block)]
        coefficients = np.stack(columns)
        sums = np.empty((len(coefficients), resamples))
        step = max(16, CHUNK_BYTES // (8 * coefficients.shape[1]))
        for start in range(0, resamples, step):
            sums[:, start : start + step] = coefficients @ triples.products(counts[start : start + step])
        sums -= rows**3 / 4
        found.append(_correlations(sums[1::2], sums[2::2], sums[:1], rows**3, rows**3))
    return found[0] if len(found) == 1 else np.concatenate(found)


def even_parts(count: int, most: int) -> list[range]:
    """Consecutive parts of `count`, of nearly one size, `most` or FEWEST_ROWS at most; of two or more none is of one alone."""
    parts = max(math.ceil(count / max(most, FEWEST_ROWS)), 1)
    return [range(count * part // parts, count * (part + 1) // parts) for part in range(parts)]


def _spearman_of_many_blocks(predictions: Rows, value: Floats, block: Ints, counts: Floats) -> Floats:
    """The same from the ranks of each resample's rows."""
    found = np.empty((len(predictions), len(counts)))
    step = max(1, CHUNK_BYTES // (8 * len(value)))
    for start in range(0, len(counts), step):
        weight = counts[start : start + step][:, block]
        rows = weight.sum(axis=1)
        of_value = _weighted_ranks(value, weight) - rows[:, None] / 2
        yy = np.einsum("rn,rn,rn->r", weight, of_value, of_value)
        for number in range(len(predictions)):
            ranks = _weighted_ranks(predictions[number : number + 1][0], weight) - rows[:, None] / 2
            xy, xx = (np.einsum("rn,rn,rn->r", weight, ranks, other) for other in (of_value, ranks))
            found[number, start : start + step] = _correlations(xy, xx, yy, rows**3, rows**3)
    return found


def _weighted_ranks(x: Floats, weight: Floats) -> Floats:
    """Rows below each row (n,), and half of those equal to it, where rows count `weight` times, (resamples, n)."""
    distinct, group = np.unique(x, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(len(distinct)))
    of_group = np.add.reduceat(weight[:, order], starts, axis=1)
    ranks: Floats = (np.cumsum(of_group, axis=1) - of_group / 2)[:, group]
    return ranks


def pearson_samples(predictions: Rows, value: Floats, block: Ints, counts: Floats) -> Floats:
    """Pearson's correlation of each prediction (P, n) with value (n,) in each resample, as `spearman_samples`."""
    blocks = counts.shape[1]

    def by_block(rows: Floats) -> list[Floats]:
        """Sums of each of k rows (k, n) over the members of each block, (blocks,)."""
        return [np.bincount(block, row, blocks).astype(np.float64, copy=False) for row in rows]

    y = (value - value.mean())[None]
    of_x, of_xy, of_xx = [], [], []
    for some in _few_rows(predictions):
        x = some - some.mean(axis=1, keepdims=True)
        of_x += by_block(x)
        of_xy += by_block(x * y)
        of_xx += by_block(x * x)
    # Sums over the members of each resample, (k, resamples).
    sum_x, sum_xy, sum_xx = (np.stack(of) @ counts.T for of in (of_x, of_xy, of_xx))
    n, sum_y, sum_yy = (np.stack(by_block(of)) @ counts.T for of in (np.ones_like(y), y, y * y))
    with np.errstate(invalid="ignore", divide="ignore"):  # of a small stratum a resample may hold no row
        xy = sum_xy - sum_x * sum_y / n
        xx, yy = sum_xx - sum_x**2 / n, sum_yy - sum_y**2 / n
    return _correlations(xy, xx, yy, sum_xx, sum_yy)


def mean_samples(predictions: Rows, value: Floats, block: Ints, counts: Floats) -> Floats:
    """The mean of each row of predictions (P, n) in each resample, as `spearman_samples`; there is nothing to compare with."""
    blocks = counts.shape[1]
    sums = np.stack([np.bincount(block, row, blocks) for some in _few_rows(predictions) for row in some]) @ counts.T
    return sums / (counts @ np.bincount(block, minlength=blocks))


def _few_rows(predictions: Rows) -> Iterator[Floats]:
    """All rows of an array, some at a time."""
    width = predictions[0:1].shape[1]
    for some in even_parts(len(predictions), CHUNK_BYTES // (16 * max(width, 1))):
        yield predictions[some.start : some.stop]


def _correlations(xy: Floats, xx: Floats, yy: Floats, x_scale: Floats, y_scale: Floats) -> Floats:
    """Correlations of centred sums, (P, resamples) or (1, resamples); NaN where one is zero as far as rounding can tell."""
    constant = (xx <= ROUNDING * x_scale) | (yy <= ROUNDING * y_scale)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = xy / np.sqrt(xx * yy)
    return np.where(constant, np.nan, found.clip(-1, 1))


def _block_ranks(x: Floats, block: Ints, blocks: int) -> Floats:
    """Rows of each block below each row, and half of those equal to it, (n, blocks)."""
    found = np.empty((len(x), blocks))
    for number in range(blocks):
        members = np.sort(x[block == number])
        found[:, number] = (np.searchsorted(members, x, "left") + np.searchsorted(members, x, "right")) / 2
    return found


class _Triples:
    """Unordered triples of blocks, with repetition: a product of three counts does not know their order."""

    def __init__(self, blocks: int) -> None:
        self.blocks = blocks
        triples = itertools.combinations_with_replacement(range(blocks), 3)
        self.first, self.second, self.third = np.array(list(triples), np.int64).T
        number = np.zeros((blocks,) * 3, np.int64)
        for order in itertools.permutations((self.first, self.second, self.third)):
            number[order] = np.arange(len(self.first))
        self.number = number.ravel()

    def products(self, counts: Floats) -> Floats:
        """The product of the three counts of each triple, (triples, resamples)."""
        of_block = np.ascontiguousarray(counts.T)
        found: Floats = of_block[self.first]
        found *= of_block[self.second]
        found *= of_block[self.third]
        return found

    def coefficients(self, x: Floats, y: Floats, block: Ints) -> Floats:
        """Sum over rows of (their block × rank of x × rank of y), (triples,), of block ranks x and y, (n, blocks)."""
        tensor = np.zeros((self.blocks,) * 3)
        for number in range(self.blocks):
            rows = block == number
            tensor[number] = x[rows].T @ y[rows]
        folded: Floats = np.bincount(self.number, tensor.ravel(), len(self.first)).astype(np.float64, copy=False)
        return folded
