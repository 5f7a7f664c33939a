"""Write docs/methods.md from the code, so that the page can't go stale: `make docs`. A test compares the two."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nrtune.analysis.uncertainty import across_loci, block_length, intervals, non_neural, student
from nrtune.orchestrator.search.encoders import encoder_space
from nrtune.search_spaces import FAMILIES, SWITCH, Choice, Family, Parameter
from nrtune.trainables.core.component import Range
from nrtune.trainables.data import related
from nrtune.trainables.data.loci import loci_of
from nrtune.trainables.encoders import ENCODERS
from nrtune.trainables.evaluation.metrics import mean_over_elements
from nrtune.trainables.evaluation.spectrum_ridge import spectrum_ridge
from nrtune.trainables.losses import LOSSES
from nrtune.trainables.samplers import SAMPLERS

STATISTICS = (
    mean_over_elements,
    loci_of,
    related,
    intervals,
    block_length,
    across_loci,
    student,
    spectrum_ridge,
    non_neural,
)
"""Functions and modules whose docstrings say how numbers are made of predictions."""

PAGE = Path(__file__).with_suffix(".md")
REGISTRIES = {"loss": LOSSES, "sampler": SAMPLERS, "encoder": ENCODERS}
INTRODUCTION = """\
# Methods

*Written by `make docs` from the docstrings and families in the code; edit those.*

A model is an encoder and a head. The encoder makes an embedding z of a sequence; a `point` head makes the mean μ of it by
a linear map, a `distributional` head μ and the log-variance ℓ by a small network each, a `dual` head μ linearly and ℓ by a
network. The loss compares them with the measured activity y and its replicate standard
deviation s; means are over a batch. The sampler decides which rows make an epoch. Any encoder goes with any head, loss and
sampler, but a loss that trains ℓ needs a head that predicts it, and no other loss gets such a head.

A loss over ranks fixes no scale of μ, and a short training falls short of it. So every checkpoint holds the affine map
a·μ + b that fits its validation rows by least squares: predictions and effects are log2(RNA/DNA) by it, unless the
model's own output is asked for. It is not applied where a < 0. Metrics are of μ itself: but for the mean squared error and
the noise correlation, which has a calibrated form, they don't depend on a and b. ℓ stays as it is: the losses that train it
compare exp ℓ with s² or with squared errors, so it is in log2(RNA/DNA) already.

A search puts every family on the encoders that it is asked for (`--encoders`), the family that is about an encoder of its own
apart, and varies what an encoder's own file says. The tables below have the families as the study had them.

An ensemble of M networks predicts the mean of their calibrated means, m̄ = Σ mᵢ / M with mᵢ = aᵢ·μᵢ + bᵢ, and where each has a
log-variance, that of the mixture of their Gaussians by the law of total variance (Lakshminarayanan et al. 2017,
arXiv:1612.01474): exp ℓ = Σ exp ℓᵢ / M + Σ (mᵢ − m̄)² / M. The first term is the noise that the networks predict, the second their
disagreement. Its raw output is the mean of the μᵢ, on whatever scales these are. Intervals of an ensemble's metrics are over
variants or test sequences alone, the members being what they are: its seeds are all in one mean, which has no replicate, and
how members scatter is not how ensembles would.

A search trains by the recipe `field` unless told otherwise. y and s are standardised by the mean m and the standard deviation d
of the training split's activity: losses see (y − m)/d and s/d, so that k is per d² and a squared error in d²; a prediction is
m + d·μ and its log-variance ℓ + 2 log d. A sequence is replaced by its reverse complement by even chance in training, and μ and
ℓ are means over both strands otherwise. Biases and norms have no weight decay. Options beside it: a shift by up to `max_shift`
bases with N behind it, at most as many as all sequences share at each end; point mutations at `mutation_rate`; and an average of
weights w that after step t is β·average + (1 − β)·w with β = min(`ema`, (1 + t)/(10 + t)). Samplers see y and s as measured. The
study, and `nrtune study`, have none of these.

The study trained each configuration at lr 0.005, weight decay 0.01, batch 1024, for 80 epochs (`--preset study`).
`nrtune study` runs its configurations again under their names. The values below are those it reported, on the CAGI5
variants that it also selected on: they flatter, and most of their differences can't be told from none.
"""


def page() -> str:
    """The whole page."""
    order = sorted(FAMILIES, key=lambda name: (name != "baseline", FAMILIES.get(name).code in ("ABL", "BEST"), name))
    told: set[tuple[str, str]] = set()
    contents = [f"- [{FAMILIES.get(name).title}](#{_anchor(FAMILIES.get(name))})" for name in order]
    encoders = ["## Encoders", "", *(f"{_component('encoder', name)}{_searched_of(name)}\n" for name in ENCODERS)]
    sections = [_section(name, FAMILIES.get(name), told) for name in order]
    statistics = ["## Means and intervals", "", *(f"{text}\n" for text in map(inspect.getdoc, STATISTICS) if text)]
    return "\n".join([INTRODUCTION, *contents, "", *encoders, *sections, *statistics])


def _heading(family: Family) -> str:
    return f"{family.title} ({family.code})"


def _anchor(family: Family) -> str:
    return "".join(c for c in _heading(family).lower().replace(" ", "-") if c.isalnum() or c == "-")


def _section(name: str, family: Family, told: set[tuple[str, str]]) -> str:
    lines = [f"## {_heading(family)}", "", inspect.getdoc(FAMILIES.module(name)) or "", ""]
    fixed = ", ".join(f"{key} `{value}`" for key, value in family.fixed.items())
    lines += [f"`--families {name}`" + (f" fixes {fixed}." if fixed else "."), ""]
    for kind, component in _components(family):
        if (kind, component) in told:
            continue
        told.add((kind, component))
        lines += [_component(kind, component), ""]
    lines += ["| searched | range | default | where |", "|---|---|---|---|"]
    lines += [_searched(parameter) for parameter in family.searched()]
    lines += ["", "| published | seed | what differs from the defaults |", "|---|---|---|"]
    for published in family.published:
        told_of = {key: value for key, value in published.parameters.items() if not key.startswith(SWITCH)}
        differs = ", ".join(f"`{key}` {_value(value)}" for key, value in told_of.items())
        lines.append(f"| {published.name} | {published.seed} | {differs or '–'} |")
    return "\n".join([*lines, "", _reported(family), ""])


def _components(family: Family) -> list[tuple[str, str]]:
    """The losses and samplers of a family."""
    found: list[tuple[str, str]] = []
    for kind in ("loss", "sampler"):
        choices = [p.values for p in family.space if p.name == kind and isinstance(p, Choice)]
        for value in [family.fixed[kind]] if kind in family.fixed else [v for values in choices for v in values]:
            found.append((kind, str(value)))
    return found


def _component(kind: str, name: str) -> str:
    """A component's docstring, its parameters' defaults, its presets, and what a search over it proposes."""
    cls: Any = REGISTRIES[kind].get(name)
    paragraphs = [f"**{kind} `{name}`.** {inspect.getdoc(cls)}"]
    if defaults := _parameters(cls.build({}).parameters()):
        paragraphs.append(f"Defaults: {defaults}.")
    if sizes := [f"`{key}`: {_parameters(size)}" for key, size in getattr(cls, "presets", {}).items()]:
        paragraphs.append(f"Presets: {'; '.join(sizes)}.")
    if searched := [text for field in dataclasses.fields(cls) if (text := _proposed(field))]:
        paragraphs.append(f"Searched: {'; '.join(searched)}.")
    return "\n\n".join(paragraphs)


def _parameters(values: Mapping[str, object]) -> str:
    return ", ".join(f"`{key}` {_value(value)}" for key, value in values.items())


def _proposed(field: dataclasses.Field[Any]) -> str:
    """The range or the values that a parameter's own file proposes; empty for one that a search leaves alone."""
    searched = field.metadata.get("searched")
    if searched is None:
        return ""
    if isinstance(searched, Range):
        return f"`{field.name}` {_value(searched.low)} to {_value(searched.high)}{', logarithmic' * searched.log}"
    return f"`{field.name}` {', '.join(map(_value, searched))}"


def _searched_of(encoder: str) -> str:
    """What a search varies of an encoder."""
    space = encoder_space(encoder, "study")
    numbers = [*([] if space.lr is None else [space.lr]), *space.parameters]
    told = (f"`{parameter.name.removeprefix('encoder.')}` {_extent(parameter)}" for parameter in numbers)
    return f" Searched: {'; '.join(told)}." if numbers else ""


def _extent(parameter: Parameter) -> str:
    if isinstance(parameter, Choice):
        return ", ".join(_value(value) for value in parameter.values)
    return f"{_value(parameter.low)} to {_value(parameter.high)}{', logarithmic' if parameter.log else ''}"


def _searched(parameter: Parameter) -> str:
    where = "; ".join(
        f"{_name(name)} {' or '.join(_value(value) for value in values)}" for name, values in parameter.when.items()
    )
    return f"| {_name(parameter.name)} | {_extent(parameter)} | {_value(parameter.default)} | {where or 'always'} |"


def _name(name: str) -> str:
    return name.removeprefix(SWITCH) if name.startswith(SWITCH) else f"`{name}`"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, int | float) else f"`{value}`"


def _reported(family: Family) -> str:
    """What the study said, in a sentence or two."""
    told = family.reported
    if told is None:
        return ""
    ends = [(getattr(told, end), end.replace("_", " ")) for end in ("completed", "crashed", "timed_out")]
    parts = [", ".join(f"{count} {end}" for count, end in ends if count)]
    if parts[0]:
        parts[0] = f"of its {len(family.published)} runs {parts[0]}"
    for label, found in (
        ("highest CAGI5 Spearman", told.cagi5_spearman),
        ("highest test Spearman", told.test_spearman),
        ("lowest noise correlation", told.noise_corr),
    ):
        parts += [f"{label} {found[1]:.3f} ({found[0]})"] if found is not None else []
    return f"In the study: {'; '.join(part for part in parts if part)}."


if __name__ == "__main__":
    PAGE.write_text(page())
