"""How figures look: sizes, one colour and marker a family, and names and numbers as a reader wants them."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import matplotlib.style
from matplotlib.figure import Figure

from search_spaces import FAMILIES

ONE_COLUMN, TWO_COLUMNS = 89 / 25.4, 183 / 25.4
"""Widths of a journal's columns, in inches."""

SMALL, NORMAL = 6.0, 7.0
"""Font sizes in points."""

DPI = 200
GREY, PALE, INK = "#6e6e6e", "#d0d0d0", "#000000"

RC: Mapping[str, Any] = {
    "font.family": "sans-serif",
    "font.size": SMALL,
    "axes.titlesize": NORMAL,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": SMALL,
    "axes.linewidth": 0.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2.0,
    "ytick.major.size": 2.0,
    "xtick.minor.size": 0.0,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "legend.handlelength": 1.2,
    "legend.handletextpad": 0.4,
    "legend.columnspacing": 1.0,
    "lines.linewidth": 0.8,
    "svg.fonttype": "none",
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
}


class Look(NamedTuple):
    """A family's colour and marker, the same in every figure."""

    colour: str
    marker: str


LOOKS: Mapping[str, Look] = {
    "baseline": Look(INK, "*"),
    "rank_stability": Look("#D55E00", "o"),
    "distributional": Look("#0072B2", "s"),
    "noise_gated": Look("#009E73", "^"),
    "contrastive": Look("#CC79A7", "D"),
    "quantile_sampling": Look("#E69F00", "v"),
    "curriculum": Look("#BFAF00", "P"),
    "hard_negative": Look("#882255", "X"),
    "factorized": Look("#332288", "<"),
    "ablation": Look("#56B4E9", ">"),
    "combination": Look("#7A5230", "p"),
}
"""Okabe and Ito's colours (https://jfly.uni-koeln.de/color/) and four of Paul Tol's; close ones differ in their marker."""

_SPARE = ("#44AA99", "#AA4499", "#117733", "#6699CC", "#997700")
"""For families of the user's own, by a hash of their name."""


def look(family: str) -> Look:
    """A family's colour and marker."""
    return LOOKS.get(family) or Look(_SPARE[zlib.crc32(family.encode()) % len(_SPARE)], "h")


def family_title(family: str) -> str:
    """A family's name for people."""
    return FAMILIES.get(family).title if family in FAMILIES else family.replace("_", " ")


def family_code(family: str) -> str:
    """A family's short name, that of the study."""
    return FAMILIES.get(family).code if family in FAMILIES else family[:12]


def in_order(families: Iterable[str]) -> list[str]:
    """Families in the order of LOOKS, those of the user's own last."""
    known = list(LOOKS)
    return sorted(set(families), key=lambda family: (known.index(family) if family in known else len(known), family))


def applied() -> AbstractContextManager[None]:
    """The figures' settings over Matplotlib's defaults, whatever the user's own are; for the time of a `with`."""
    context: AbstractContextManager[None] = matplotlib.style.context(["default", dict(RC)])
    return context


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches."""
    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def short_name(name: str) -> str:
    """A trial's name for a label: `DH7` for DH7_distributional_dual; RS-002 stays."""
    published = re.fullmatch(r"([A-Z]+\d+)_\w+( \(changed\))?", name)
    if published:
        return published[1] + ("*" if published[2] else "")
    return name if len(name) <= 16 else name[:15] + "…"


def short_names(names: Sequence[str]) -> list[str]:
    """Short names; those that several trials would share stay long."""
    short = [short_name(name) for name in names]
    return [s if short.count(s) == 1 else name for s, name in zip(short, names, strict=True)]


_WORDS = {
    "noise/corr": "Noise correlation",
    "noise/corr_calibrated": "Noise correlation, calibrated",
    "noise/low_noise_spearman": "Spearman, low-noise fifth",
    "noise/high_noise_spearman": "Spearman, high-noise fifth",
    "noise/gap": "Spearman, low − high noise",
    "noise/variance_spearman": "Variance Spearman",
}


def words(metric: str) -> str:
    """A metric's name for people: `CAGI5 Spearman, challenge`."""
    if metric.startswith("val/noise/"):
        return words(metric.removeprefix("val/")) + ", validation"
    if metric in _WORDS:
        return _WORDS[metric] + ", test"
    match metric.split("/"):
        case ["cagi5", part, "hc_lc_gap"]:
            return f"CAGI5 HC − LC Spearman, {part}"
        case ["cagi5", part, kind, stratum, element]:
            where = "" if element == "mean" else f", {element}"
            return f"CAGI5 {kind.capitalize()}, {'' if stratum == 'all' else stratum.upper() + ', '}{part}{where}"
        case ["val", kind]:
            return f"Validation {kind.capitalize()}"
        case ["test", kind]:
            return f"Test {kind.capitalize()}"
    return metric


def phrase(metric: str) -> str:
    """A metric's name within a sentence."""
    name = words(metric)
    return name if name.startswith("CAGI5") else name[:1].lower() + name[1:]


def number(value: float, signed: bool = False) -> str:
    """A number of three decimals with a real minus sign."""
    return f"{value:{'+' if signed else ''}.3f}".replace("-", "−")


def listed(items: Sequence[str]) -> str:
    """`a, b and c`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def count(n: int, noun: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{n} {noun}" + ("" if n == 1 else "s")
