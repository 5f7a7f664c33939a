"""Variants and sequences whose truth is known, and what configurations predict of them, with noise as large as the study's.

Variants lie where those of CAGI5's K562 elements do. Measured values and predictions follow signals along positions, loud in
some stretches and faint in others. A configuration deviates along positions in its own way, whatever the seed: that is what
other variants would change. A training learns more or less of each element, and deviates in its own way too: that is what
another seed would change. Beside the variants there are validation and test sequences with replicate standard deviations.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.signal import lfilter

from nrtune.analysis.uncertainty.bootstrap import Floats, Ints
from nrtune.trainables.data.benchmarks import VariantSet
from nrtune.trainables.data.benchmarks.cagi5 import HIGH_CONFIDENCE, PARTS, read_cagi5

SEQUENCES = 1000
"""Of validation, and of test."""

LEARNED_OF_SEQUENCES, BESIDE_SEQUENCES = 0.8, 0.5
"""What predictions hold of the true activities, and standard deviation of what all of them hold beside it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Noise:
    """How large each part is.

    reach: base pairs over which a signal's autocorrelation falls to 1/e; own_reach: of deviations. loudness, loud_reach:
    standard deviation of the logarithm of the signals' amplitude, and its reach. of_allele: standard deviation of what the
    alleles of a position do not share, in units of the signal's. learned: what predictions hold of the true signal;
    by_training, by_training_and_element: its standard deviations. of_configuration, of_training: deviations along positions.
    on_sequences: a configuration's, and a training's, deviations on single sequences. freedom: degrees of freedom of an inverse
    chi-squared distribution of the variance over seeds, from one configuration to the next, which are as good nevertheless;
    infinite: all have the same.

    The defaults give what was measured on the study: a standard deviation over seeds of 0.019 in mean CAGI5 Spearman and of 0.004
    in test Spearman, and a standard error by blocks of 0.013 of the difference of two trainings.
    """

    reach: float = 30.0
    own_reach: float = 2.0
    loudness: float = 0.5
    loud_reach: float = 30.0
    of_allele: float = 0.7
    learned: float = 0.6
    by_training: float = 0.0132
    by_training_and_element: float = 0.066
    of_configuration: float = 0.234
    of_training: float = 0.117
    on_sequences: float = 0.169
    freedom: float = math.inf


class Trained(NamedTuple):
    """What M trainings predict: effects (M, variants), and log2(RNA/DNA) of validation and test sequences (M, SEQUENCES)."""

    effects: Floats
    val: Floats
    test: Floats


class World:
    """The variants and sequences of one campaign, and what its C configurations make of them.

    improvement: what configurations, by number, have learned beyond the others. units: scale and offset of what they predict.
    Everything else is the same for all of them.
    """

    def __init__(
        self,
        variants: VariantSet,
        noise: Noise,
        configurations: int,
        generator: np.random.Generator,
        improvement: Mapping[int, float] | None = None,
        units: Mapping[int, tuple[float, float]] | None = None,
    ) -> None:
        self.noise, self.generator = noise, generator
        self._learned = np.full(configurations, noise.learned)
        for number, more in (improvement or {}).items():
            self._learned[number] += more
        self._scale, self._offset = np.ones(configurations), np.zeros(configurations)
        for number, (scale, offset) in (units or {}).items():
            self._scale[number], self._offset[number] = scale, offset
        self._spread = np.ones(configurations)
        if math.isfinite(noise.freedom):
            self._spread = np.sqrt((noise.freedom - 2) / generator.chisquare(noise.freedom, configurations))
        # Noise hides what was learned: who has more of it must have learned more to be as good.
        self._learned *= self._as_good(1 + noise.of_configuration**2, noise.of_training**2)
        # And the correlation L / √(L² + R) of what learns L is concave: what varies by v is lower by half its curvature times v.
        varies = (self._spread**2 - 1) * (noise.by_training**2 + noise.by_training_and_element**2)
        self._learned += 1.5 * self._learned * varies / (self._learned**2 + 1 + noise.of_configuration**2)
        self._learned_of_sequences = LEARNED_OF_SEQUENCES * self._as_good(
            BESIDE_SEQUENCES**2 + noise.on_sequences**2, noise.on_sequences**2
        )
        self._rows, self._place = [], []
        for number in range(len(variants.elements)):
            rows = np.flatnonzero(variants.element == number)
            self._rows.append(rows)
            self._place.append(variants.pos[rows] - variants.pos[rows].min())
        self._loudness = [self._amplitude(place) for place in self._place]
        self._truth = [self._signal(of, 1, noise.reach)[0] for of in range(len(self._rows))]
        self._beside = [self._signal(of, 1, noise.reach)[0] for of in range(len(self._rows))]
        self._own = [
            noise.of_configuration * self._signal(of, configurations, noise.own_reach) for of in range(len(self._rows))
        ]
        self.variants = self._measured(variants)
        self.activity, self.aleatoric_std, self._sequences = self._measured_sequences(configurations)

    def _as_good(self, rest: float, of_training: float) -> Floats:
        """What leaves a configuration's correlation with the truth what it is without a spread, (C,).

        rest, of_training: variance of a prediction that is not of the truth, the same for all and over trainings.
        """
        found: Floats = np.sqrt((rest + self._spread**2 * of_training) / (rest + of_training))
        return found

    @property
    def truth(self) -> Floats:
        """What a prediction holds more of, of the variants (V,), the more a model has learned."""
        found = np.empty(len(self.variants))
        for rows, truth in zip(self._rows, self._truth, strict=True):
            found[rows] = truth
        return found

    def train(self, numbers: Ints) -> Trained:
        """One training of each of these configurations (M,)."""
        noise, generator, spread = self.noise, self.generator, self._spread[numbers]
        effects = np.empty((len(numbers), len(self.variants)))
        by_training = noise.by_training * generator.normal(size=len(numbers))
        for of, rows in enumerate(self._rows):
            by_element = noise.by_training_and_element * generator.normal(size=len(numbers))
            learned = self._learned[numbers] + spread * (by_training + by_element)
            own = spread[:, None] * noise.of_training * self._signal(of, len(numbers), noise.own_reach)
            effects[:, rows] = learned[:, None] * self._truth[of] + self._beside[of] + self._own[of][numbers] + own
        of_sequences = noise.on_sequences * spread[:, None] * generator.normal(size=(len(numbers), 2 * SEQUENCES))
        scale, offset = self._scale[numbers, None], self._offset[numbers, None]
        predicted = scale * (self._sequences[numbers] + of_sequences) + offset
        return Trained(scale * effects, predicted[:, :SEQUENCES], predicted[:, SEQUENCES:])

    def _amplitude(self, place: Ints) -> Floats:
        loudness = along(1, int(place.max()) + 1, self.noise.loud_reach, self.generator)[0]
        amplitude: Floats = np.exp(self.noise.loudness * loudness)[place]
        return amplitude

    def _signal(self, of: int, count: int, reach: float) -> Floats:
        """Signals at the variants of an element, (count, n)."""
        place = self._place[of]
        shared = along(count, int(place.max()) + 1, reach, self.generator)[:, place]
        found: Floats = self._loudness[of] * (shared + self.noise.of_allele * self.generator.normal(size=shared.shape))
        return found

    def _measured(self, variants: VariantSet) -> VariantSet:
        """With values; in each element and part those of large effects are of high confidence, as many as in the layout."""
        value, confidence = np.empty(len(variants)), np.full(len(variants), 0.5 * HIGH_CONFIDENCE)
        for of, rows in enumerate(self._rows):
            value[rows] = self._truth[of] + self.noise.of_allele * self.generator.normal(size=len(rows))
        size = np.abs(value) + 0.5 * self.generator.normal(size=len(value))
        for _, _, rows in variants.groups():
            high = int((variants.stratum[rows] == 0).sum())
            confidence[rows[np.argsort(-size[rows])[:high]]] = 2 * HIGH_CONFIDENCE
        stratum = (confidence < HIGH_CONFIDENCE).astype(np.uint8)
        columns = dict(variants.columns) | {"confidence": confidence}
        return dataclasses.replace(variants, value=value, stratum=stratum, columns=columns)

    def _measured_sequences(self, configurations: int) -> tuple[Floats, Floats, Floats]:
        """Activities and replicate standard deviations (2 × SEQUENCES,), and what each configuration predicts but for seeds."""
        generator = self.generator
        truth = generator.normal(size=2 * SEQUENCES)
        std = np.exp(0.4 * generator.normal(size=2 * SEQUENCES)) / 3
        activity = truth + std * generator.normal(size=2 * SEQUENCES)
        beside = BESIDE_SEQUENCES * generator.normal(size=2 * SEQUENCES)
        own = self.noise.on_sequences * generator.normal(size=(configurations, 2 * SEQUENCES))
        return activity, std, self._learned_of_sequences[:, None] * truth + beside + own


def along(count: int, size: int, reach: float, generator: np.random.Generator) -> Floats:
    """Stationary signals (count, size) of variance 1 whose autocorrelation falls exponentially."""
    phi = math.exp(-1 / reach)
    noise = generator.normal(size=(count, size)) * math.sqrt(1 - phi**2)
    noise[:, 0] /= math.sqrt(1 - phi**2)
    signal: Floats = lfilter([1], [1, -phi], noise, axis=1)
    return signal


def layout(cagi5: Path | None) -> VariantSet:
    """The variants of the four K562 elements of a folder; without one, as many in stretches of the same sizes."""
    if cagi5 is not None:
        variants = read_cagi5(cagi5)
        return of_elements(variants, variants.matched)
    elements = {"GP1BB": 386, "HBB": 176, "HBG1": 275, "PKLR": 471}
    element, pos = (
        np.concatenate(parts)
        for parts in zip(
            *(
                (np.full(3 * size, number), np.repeat(np.arange(size), 3))
                for number, size in enumerate(elements.values())
            ),
            strict=True,
        )
    )
    n, alleles = len(pos), np.array(["C", "G", "T"])
    return VariantSet(
        benchmark="cagi5",
        title="CAGI5",
        name="simulated",
        assembly="",
        cell_line="K562",
        elements=tuple(elements),
        matched=tuple(elements),
        parts=PARTS,
        selectable=PARTS[:1],
        strata=("hc", "lc"),
        element=element.astype(np.uint8),
        part=(pos // 16 % 4 > 0).astype(np.uint8),  # a quarter of each element, in stretches, is the release
        stratum=(np.arange(n) % 6 > 0).astype(np.uint8),
        chrom=np.array(["22", "11", "11", "1"])[element],
        pos=pos + 1 + 100_000 * element,
        ref=np.full(n, "A"),
        alt=alleles[np.arange(n) % 3],
        value=np.zeros(n),
        ref_mismatch=np.zeros(n, bool),
        windows=np.zeros((1, 1), np.uint8),
        ref_window=np.zeros(n, np.int64),
        alt_window=np.zeros(n, np.int64),
        columns={"confidence": np.zeros(n)},
        digest="",
    )


def of_elements(variants: VariantSet, names: tuple[str, ...]) -> VariantSet:
    """The variants of these elements alone, in the order of the set's; means are over them."""
    numbers = np.array([number for number, name in enumerate(variants.elements) if name in names], np.uint8)
    here = variants.subset(np.isin(variants.element, numbers), names)
    element = np.searchsorted(numbers, here.element).astype(np.uint8)
    return dataclasses.replace(here, elements=tuple(variants.elements[n] for n in numbers), element=element)
