"""Write docs/methods.md from the code, so that the page can't go stale: `make docs`. A test compares the two."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from nrtune.analysis.uncertainty import across_loci, block_length, intervals, non_neural, student
from nrtune.search_spaces import FAMILIES, SWITCH, Choice, Family, Parameter
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

The study trained each configuration at lr 0.005, weight decay 0.01, batch 1024, for 80 epochs (`--preset study`).
`nrtune study` runs its configurations again under their names. The values below are those it reported, on the CAGI5
variants that it also selected on: they flatter, and most of their differences can't be told from none.
"""


def page() -> str:
    """The whole page."""
    order = sorted(FAMILIES, key=lambda name: (name != "baseline", FAMILIES.get(name).code in ("ABL", "BEST"), name))
    told: set[tuple[str, str]] = set()
    contents = [f"- [{FAMILIES.get(name).title}](#{_anchor(FAMILIES.get(name))})" for name in order]
    encoders = ["## Encoders", "", *(f"{_component('encoder', name)}\n" for name in ENCODERS)]
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
    """A component's docstring and its parameters' defaults."""
    cls: Any = REGISTRIES[kind].get(name)
    defaults = ", ".join(f"`{key}` {_value(value)}" for key, value in cls.build({}).parameters().items())
    text = f"**{kind} `{name}`.** {inspect.getdoc(cls)}"
    return f"{text}\n\nDefaults: {defaults}." if defaults else text


def _searched(parameter: Parameter) -> str:
    if isinstance(parameter, Choice):
        extent = ", ".join(_value(value) for value in parameter.values)
    else:
        extent = f"{_value(parameter.low)} to {_value(parameter.high)}{', logarithmic' if parameter.log else ''}"
    where = "; ".join(
        f"{_name(name)} {' or '.join(_value(value) for value in values)}" for name, values in parameter.when.items()
    )
    return f"| {_name(parameter.name)} | {extent} | {_value(parameter.default)} | {where or 'always'} |"


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
