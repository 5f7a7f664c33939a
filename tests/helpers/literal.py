"""Slow, literal definitions of losses, samplers, the encoders' own losses, metrics and windows: the tests' yardstick.

Everything here is float64 and written as loops over rows and pairs. What docs/methods.md says of losses, samplers and
encoders can be read against it; metrics and windows are on no page, and defined by the docstrings here. Where either
leaves a choice open, a comment beginning "Choice:" says what was decided.
"""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

LOG_VARIANCE_LIMIT = 10.0


# ---------------------------------------------------------------------------------------------------------- arithmetic


def average(values: Iterable[float]) -> float:
    """Return the arithmetic mean; of nothing it is NaN."""
    items = [float(value) for value in values]
    return math.fsum(items) / len(items) if items else math.nan


def sigmoid(x: float) -> float:
    """Return 1 / (1 + exp(-x)) without overflow."""
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0 else math.exp(x) / (1.0 + math.exp(x))


def bce_with_logits(logit: float, target: bool) -> float:
    """Return -log sigmoid(logit) for a true target and -log(1 - sigmoid(logit)) for a false one."""
    x = -logit if target else logit  # both are log(1 + exp(x))
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def quantile(values: Iterable[float], q: float) -> float:
    """Return the q-quantile with linear interpolation between order statistics; of nothing it is NaN."""
    # Choice: linear interpolation, the default of NumPy and of torch.
    ordered = sorted(float(value) for value in values)
    if not ordered:
        return math.nan
    position = q * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


# -------------------------------------------------------------------------------------------------------------- losses


def mse(mean: Vector, activity: Vector) -> float:
    """Return the mean squared error."""
    return average((float(m) - float(y)) ** 2 for m, y in zip(mean, activity, strict=True))


def rank_stability(
    mean: Vector, activity: Vector, aleatoric_std: Vector, k: float, sigma: float = 1.0, weight_floor: float = 0.01
) -> float:
    """Return the noise-weighted pairwise ranking loss over all ordered pairs of different activity."""
    weights: list[float] = []
    losses: list[float] = []
    for i in range(len(activity)):
        for j in range(len(activity)):
            if activity[i] == activity[j]:  # i == j is among these
                continue
            noise = float(aleatoric_std[i]) ** 2 + float(aleatoric_std[j]) ** 2
            weights.append(max(sigmoid(-k * noise), weight_floor))
            logit = sigma * (float(mean[i]) - float(mean[j]))
            losses.append(bce_with_logits(logit, bool(activity[i] > activity[j])))
    scale = average(weights)
    # Choice: weights that are all 0 (weight_floor 0, and sigmoid underflowing) count as no pairs.
    if not weights or scale == 0.0:
        return 0.0
    return average(weight / scale * loss for weight, loss in zip(weights, losses, strict=True))


def variance_error(log_variance: Vector, aleatoric_std: Vector) -> float:
    """Return the mean of (exp log_variance - s^2)^2."""
    return average((math.exp(v) - float(s) ** 2) ** 2 for v, s in zip(log_variance, aleatoric_std, strict=True))


def distributional(
    mean: Vector, log_variance: Vector, activity: Vector, aleatoric_std: Vector, lambda_var: float
) -> float:
    """Return the MSE plus lambda_var times the squared error of the variance."""
    # Choice: no clamp here; the page states one for `heteroscedastic` alone.
    return mse(mean, activity) + lambda_var * variance_error(log_variance, aleatoric_std)


def clamp_log_variance(log_variance: Vector) -> Vector:
    """Return log_variance limited to [-10, 10]."""
    limited = [min(max(float(v), -LOG_VARIANCE_LIMIT), LOG_VARIANCE_LIMIT) for v in log_variance]
    return np.array(limited, dtype=np.float64)


def heteroscedastic(
    mean: Vector, log_variance: Vector, activity: Vector, aleatoric_std: Vector, lambda_var: float
) -> float:
    """Return the Gaussian negative log-likelihood plus lambda_var times the squared error of the variance."""
    # Choice: "log variance clamped to [-10, 10]" ends the whole formula, so it holds in the lambda_var term too.
    clamped = clamp_log_variance(log_variance)
    likelihood = average(
        0.5 * (float(v) + (float(y) - float(m)) ** 2 / math.exp(v))
        for m, v, y in zip(mean, clamped, activity, strict=True)
    )
    return likelihood + lambda_var * variance_error(clamped, aleatoric_std)


def noise_gated(
    mean: Vector,
    log_variance: Vector,
    activity: Vector,
    aleatoric_std: Vector,
    alpha: float,
    beta: float,
    k: float,
) -> float:
    """Return the Gaussian NLL + alpha * rank_stability(k) + beta * squared error of the variance."""
    # Choice: the beta term is heteroscedastic's lambda_var term, clamp included; rank_stability has its defaults.
    gaussian = heteroscedastic(mean, log_variance, activity, aleatoric_std, lambda_var=beta)
    return gaussian + alpha * rank_stability(mean, activity, aleatoric_std, k)


def adaptive_alpha(alpha: float, warmup_epochs: int, epoch: int, epochs: int) -> float:
    """Return the alpha of one epoch (from 0): 0 during warm-up, then linear, and alpha at epoch epochs - 1."""
    # Choice: exactly warmup_epochs epochs have alpha 0; the line starts from 0 at the last of them (epoch
    # warmup_epochs - 1), so the first epoch after warm-up is above 0. A warm-up as long as the run never ends.
    if epoch < warmup_epochs:
        return 0.0
    return alpha * min(1.0, (epoch - warmup_epochs + 1) / max(1, epochs - warmup_epochs))


def adaptive_noise_gated(
    mean: Vector,
    log_variance: Vector,
    activity: Vector,
    aleatoric_std: Vector,
    alpha: float,
    beta: float,
    k: float,
    warmup_epochs: int,
    epoch: int,
    epochs: int,
) -> float:
    """Return noise_gated with the alpha of this epoch."""
    now = adaptive_alpha(alpha, warmup_epochs, epoch, epochs)
    return noise_gated(mean, log_variance, activity, aleatoric_std, now, beta, k)


def noise_gated_mse(mean: Vector, activity: Vector, aleatoric_std: Vector, alpha: float, k: float) -> float:
    """Return the MSE weighted by 1 / (1 + s^2) scaled to mean 1, plus alpha * rank_stability(k)."""
    weights = [1.0 / (1.0 + float(s) ** 2) for s in aleatoric_std]
    scale = average(weights)
    weighted = average(
        weight / scale * (float(m) - float(y)) ** 2 for weight, m, y in zip(weights, mean, activity, strict=True)
    )
    return weighted + alpha * rank_stability(mean, activity, aleatoric_std, k)


def l2_normalise(embedding: Matrix) -> list[list[float]]:
    """Return the rows at length 1; a row of zeros stays zero."""
    rows: list[list[float]] = []
    for row in embedding:
        length = math.sqrt(math.fsum(float(x) ** 2 for x in row))
        rows.append([float(x) / length if length > 0.0 else 0.0 for x in row])
    return rows


def low_noise(aleatoric_std: Vector, noise_quantile: float) -> list[bool]:
    """Return for each row whether s is below the batch's noise_quantile."""
    limit = quantile(aleatoric_std, noise_quantile)
    return [float(s) < limit for s in aleatoric_std]


def similar_activity(activity: Vector, activity_quantile: float) -> list[list[bool]]:
    """Return for each pair whether |y_i - y_j| is below the activity_quantile of the batch's non-zero differences."""
    # Choice: the quantile is over the whole matrix, (i, j) and (j, i) both; "non-zero" is what leaves its diagonal out.
    size = range(len(activity))
    difference = [[abs(float(activity[i]) - float(activity[j])) for j in size] for i in size]
    limit = quantile([d for row in difference for d in row if d != 0.0], activity_quantile)
    # Choice: with no non-zero difference there is no limit (NaN), and nothing is similar.
    return [[d < limit for d in row] for row in difference]


def contrastive_anchor_pairwise(
    embedding: Matrix,
    activity: Vector,
    aleatoric_std: Vector,
    temperature: float,
    noise_quantile: float = 0.5,
    activity_quantile: float = 0.1,
) -> float:
    """Return the contrastive term alone; 0 where the batch has no (anchor, positive) pair with a negative."""
    z = l2_normalise(embedding)
    low = low_noise(aleatoric_std, noise_quantile)
    similar = similar_activity(activity, activity_quantile)
    size = range(len(z))
    terms: list[float] = []
    for i in size:
        logit = [math.fsum(a * b for a, b in zip(z[i], z[j], strict=True)) / temperature for j in size]
        positives = [j for j in size if j != i and similar[i][j] and low[i] and low[j]]
        negatives = [j for j in size if similar[i][j] and low[i] != low[j]]
        if not negatives:
            continue
        for p in positives:  # the other positives are not in the denominator
            top = max(logit[p], *(logit[n] for n in negatives))
            denominator = math.exp(logit[p] - top) + math.fsum(math.exp(logit[n] - top) for n in negatives)
            terms.append(math.log(denominator) - (logit[p] - top))
    return average(terms) if terms else 0.0


def contrastive_anchor(
    embedding: Matrix,
    mean: Vector,
    activity: Vector,
    aleatoric_std: Vector,
    temperature: float,
    noise_quantile: float = 0.5,
    activity_quantile: float = 0.1,
) -> float:
    """Return the contrastive term plus the MSE."""
    pairwise = contrastive_anchor_pairwise(
        embedding, activity, aleatoric_std, temperature, noise_quantile, activity_quantile
    )
    return pairwise + mse(mean, activity)


def triplet_anchor_pairwise(
    embedding: Matrix,
    activity: Vector,
    aleatoric_std: Vector,
    margin: float = 0.5,
    noise_quantile: float = 0.5,
    activity_quantile: float = 0.2,
) -> float:
    """Return the triplet term alone, the mean over anchors that have both partners; 0 where none has."""
    # Choice: z is L2-normalised as in contrastive_anchor, whose "low" and "similar" the page reuses here as well, and
    # distances are Euclidean between these normalised rows ("farthest" and "nearest" too).
    z = l2_normalise(embedding)
    low = low_noise(aleatoric_std, noise_quantile)
    similar = similar_activity(activity, activity_quantile)
    size = range(len(z))
    terms: list[float] = []
    for i in size:
        if not low[i]:
            continue
        distance = [math.dist(z[i], z[j]) for j in size]
        positives = [distance[j] for j in size if j != i and similar[i][j] and low[j]]
        negatives = [distance[j] for j in size if similar[i][j] and not low[j]]
        if positives and negatives:
            terms.append(max(0.0, max(positives) - min(negatives) + margin))
    return average(terms) if terms else 0.0


def triplet_anchor(
    embedding: Matrix,
    mean: Vector,
    activity: Vector,
    aleatoric_std: Vector,
    margin: float = 0.5,
    noise_quantile: float = 0.5,
    activity_quantile: float = 0.2,
) -> float:
    """Return the triplet term plus the MSE."""
    pairwise = triplet_anchor_pairwise(embedding, activity, aleatoric_std, margin, noise_quantile, activity_quantile)
    return pairwise + mse(mean, activity)


# ------------------------------------------------------------------------------------------------------------ encoders


def vib_divergence(mean: Matrix, log_variance: Matrix) -> float:
    """Return KL(N(mean, exp log_variance) || N(0, I)): summed over dimensions, averaged over rows."""
    return average(
        math.fsum(
            0.5 * (float(m) ** 2 + math.exp(v) - 1.0 - float(v)) for m, v in zip(means, log_variances, strict=True)
        )
        for means, log_variances in zip(mean, log_variance, strict=True)
    )


def gc_bin(sequence: str, bins: int) -> int:
    """Return the bin of a sequence's GC content, from 0; an N counts as half a G or C."""
    # Choice: bins are even between 0.25 and 0.75, a bound is in the upper one, and the outer ones take what lies beyond.
    gc = math.fsum({"G": 1.0, "C": 1.0, "N": 0.5}.get(base, 0.0) for base in sequence) / len(sequence)
    return min(max(math.floor((gc - 0.25) / 0.5 * bins), 0), bins - 1)


def cross_entropy(logits: Matrix, classes: Iterable[int]) -> float:
    """Return the mean of -log softmax(logits)[class]."""
    terms: list[float] = []
    for row, chosen in zip(logits, classes, strict=True):
        top = max(float(x) for x in row)
        terms.append(top + math.log(math.fsum(math.exp(float(x) - top) for x in row)) - float(row[chosen]))
    return average(terms)


# ------------------------------------------------------------------------------------------------------------ samplers


def hard_negative_probabilities(activity: Vector, aleatoric_std: Vector, temperature: float) -> Vector:
    """Return each row's probability of a draw, proportional to exp(score / temperature)."""
    # Choice: the median of an even number of rows is the mean of the middle two (torch.median takes the lower).
    median = quantile(activity, 0.5)
    exponents = [
        1.0 / (1.0 + abs(float(y) - median)) * 1.0 / (1.0 + float(s)) / temperature
        for y, s in zip(activity, aleatoric_std, strict=True)
    ]
    top = max(exponents)  # cancels in the quotient
    shares = [math.exp(exponent - top) for exponent in exponents]
    total = math.fsum(shares)
    return np.array([share / total for share in shares], dtype=np.float64)


def quantile_bins(activity: Vector, n_quantiles: int) -> list[int]:
    """Return each row's activity quantile, from 0."""
    # Choice: the bounds are the b / n_quantiles quantiles of activity, b = 1 .. n_quantiles - 1; a row's quantile is
    # the number of bounds at or below it. A row on a bound is in the upper one (as "low" is strict), and equal
    # activities share a quantile.
    bounds = [quantile(activity, b / n_quantiles) for b in range(1, n_quantiles)]
    return [sum(1 for bound in bounds if bound <= float(y)) for y in activity]


def quantile_probabilities(activity: Vector, aleatoric_std: Vector, n_quantiles: int, noise_weight: float) -> Vector:
    """Return each row's probability of a draw: an equal share for each quantile, noise-weighted inside it."""
    bins = quantile_bins(activity, n_quantiles)
    # Choice: a quantile that ties have left empty gets no share; the others share equally.
    occupied = sorted(set(bins))
    probabilities = np.zeros(len(bins), dtype=np.float64)
    for b in occupied:
        members = [i for i in range(len(bins)) if bins[i] == b]
        certainty = {i: 1.0 / (1.0 + float(aleatoric_std[i])) for i in members}
        total = math.fsum(certainty.values())
        for i in members:
            inside = (1.0 - noise_weight) / len(members) + noise_weight * certainty[i] / total
            probabilities[i] = inside / len(occupied)
    return probabilities


# ------------------------------------------------------------------------------------------------------------- metrics


def average_ranks(values: Vector) -> Vector:
    """Return ranks from 1, equal values sharing the mean of theirs."""
    ranks = []
    for value in values:
        smaller = sum(1 for other in values if other < value)
        equal = sum(1 for other in values if other == value)
        ranks.append(smaller + (equal + 1) / 2)
    return np.array(ranks, dtype=np.float64)


def pearson(a: Vector, b: Vector) -> float:
    """Return Pearson's correlation; NaN where either side is constant or has fewer than two values."""
    if len(a) < 2 or all(x == a[0] for x in a) or all(x == b[0] for x in b):
        return math.nan
    mean_a, mean_b = average(a), average(b)
    centred_a = [float(x) - mean_a for x in a]
    centred_b = [float(x) - mean_b for x in b]
    covariance = math.fsum(x * y for x, y in zip(centred_a, centred_b, strict=True))
    scale = math.sqrt(math.fsum(x * x for x in centred_a)) * math.sqrt(math.fsum(y * y for y in centred_b))
    return covariance / scale if scale > 0.0 else math.nan


def spearman(a: Vector, b: Vector) -> float:
    """Return Spearman's correlation: Pearson's of average ranks; NaN for a constant."""
    return pearson(average_ranks(a), average_ranks(b))


def noise_corr(mean: Vector, activity: Vector, aleatoric_std: Vector) -> float:
    """Return Pearson(|mean - y|, s)."""
    error = [abs(float(m) - float(y)) for m, y in zip(mean, activity, strict=True)]
    return pearson(np.array(error, dtype=np.float64), aleatoric_std)


def affine_fit(x: Vector, y: Vector) -> tuple[float, float]:
    """Return the slope and intercept that minimise the sum of (slope * x + intercept - y)^2."""
    # Choice: ordinary least squares; a constant x (no unique line) gets slope 0 and intercept mean y.
    mean_x, mean_y = average(x), average(y)
    if all(value == x[0] for value in x):
        return 0.0, mean_y
    covariance = math.fsum((float(p) - mean_x) * (float(q) - mean_y) for p, q in zip(x, y, strict=True))
    slope = covariance / math.fsum((float(p) - mean_x) ** 2 for p in x)
    return slope, mean_y - slope * mean_x


def noise_corr_calibrated(
    mean_test: Vector, activity_test: Vector, std_test: Vector, mean_val: Vector, activity_val: Vector
) -> float:
    """Return noise_corr on test after mapping the predictions by the affine fit of validation."""
    slope, intercept = affine_fit(mean_val, activity_val)
    calibrated = [slope * float(m) + intercept for m in mean_test]
    return noise_corr(np.array(calibrated, dtype=np.float64), activity_test, std_test)


def spearman_of_rows(a: Vector, b: Vector, rows: list[int]) -> float:
    """Return Spearman's correlation over some rows."""
    return spearman(np.array([a[i] for i in rows], dtype=np.float64), np.array([b[i] for i in rows], dtype=np.float64))


def low_noise_spearman(mean: Vector, activity: Vector, aleatoric_std: Vector) -> float:
    """Return Spearman's correlation over the lowest quintile of s."""
    # Choice: s at or below its 0.2 quantile; the bound is inside, as at the top, so neither quintile is ever empty.
    limit = quantile(aleatoric_std, 0.2)
    return spearman_of_rows(mean, activity, [i for i in range(len(mean)) if aleatoric_std[i] <= limit])


def high_noise_spearman(mean: Vector, activity: Vector, aleatoric_std: Vector) -> float:
    """Return Spearman's correlation over the highest quintile of s."""
    limit = quantile(aleatoric_std, 0.8)
    return spearman_of_rows(mean, activity, [i for i in range(len(mean)) if aleatoric_std[i] >= limit])


def noise_gap(mean: Vector, activity: Vector, aleatoric_std: Vector) -> float:
    """Return low_noise_spearman - high_noise_spearman."""
    # Choice: low minus high, as HC - LC.
    low = low_noise_spearman(mean, activity, aleatoric_std)
    return low - high_noise_spearman(mean, activity, aleatoric_std)


def variance_spearman(log_variance: Vector, aleatoric_std: Vector) -> float:
    """Return Spearman(exp log_variance, s^2)."""
    # Choice: unclamped, whatever the loss.
    predicted = np.array([math.exp(v) for v in log_variance], dtype=np.float64)
    return spearman(predicted, np.array([float(s) ** 2 for s in aleatoric_std], dtype=np.float64))


def cagi5_element(
    variant_effect: Vector, measured: Vector, confidence: Vector, threshold: float = 0.1
) -> dict[str, float]:
    """Return spearman/S, pearson/S and n/S of one element for the strata S = all, hc and lc."""
    size = range(len(variant_effect))
    strata = {
        "all": list(size),
        "hc": [i for i in size if confidence[i] >= threshold],
        "lc": [i for i in size if confidence[i] < threshold],
    }
    scores: dict[str, float] = {}
    for name, rows in strata.items():
        effect = np.array([variant_effect[i] for i in rows], dtype=np.float64)
        value = np.array([measured[i] for i in rows], dtype=np.float64)
        # Choice: "All" is a stratum like the others. n is the count even where the correlations are NaN.
        enough = len(rows) > 10
        scores[f"spearman/{name}"] = spearman(effect, value) if enough else math.nan
        scores[f"pearson/{name}"] = pearson(effect, value) if enough else math.nan
        scores[f"n/{name}"] = float(len(rows))
    return scores


def mean_over_elements(values: Iterable[float]) -> float:
    """Return the unweighted mean over elements, skipping NaN; NaN where all are."""
    return average(value for value in values if not math.isnan(value))


def hc_lc_gap(hc_spearman: float, lc_spearman: float) -> float:
    """Return HC - LC Spearman, of one element or of the two means over elements."""
    return hc_spearman - lc_spearman


# ------------------------------------------------------------------------------------------------------------- windows


def window(reference: str, start: int, pos: int, ref: str, alt: str, length: int) -> tuple[str, str]:
    """Return the ref and alt windows; reference[0] lies at start, and the variant at window index length // 2."""
    # Choice: start and pos count from the same origin, whichever it is; the result is upper case. The ref window
    # carries the declared ref even where the reference differs. An allele longer or shorter than one base begins at
    # length // 2, and the reference from pos + len(ref) follows it, cut to length.

    def base(position: int) -> str:
        index = position - start
        return reference[index] if 0 <= index < len(reference) else "N"

    left = "".join(base(p) for p in range(pos - length // 2, pos))
    right = "".join(base(p) for p in range(pos + len(ref), pos + len(ref) + length))
    ref_window = (left + ref + right)[:length].upper()
    alt_window = (left + alt + right)[:length].upper()
    return ref_window, alt_window
