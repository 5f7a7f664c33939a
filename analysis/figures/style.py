"""How figures look: sizes, and one colour and marker a family."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import matplotlib.style
from matplotlib.figure import Figure

from nrtune.search_spaces import FAMILIES
from nrtune.trainables.core.outside_text import visible

WIDTH, MOST_HEIGHT = 89 / 25.4, 247 / 25.4
"""A journal's column, in inches: every figure is as wide, and the type below is read at that size."""

SMALL, NORMAL = 6.0, 7.0
"""Font sizes in points."""

DPI = 300
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
    "text.parse_math": False,  # a $ in a name is a $
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
    return FAMILIES.get(family).title if family in FAMILIES else visible(family.replace("_", " "))


def family_code(family: str) -> str:
    """A family's short name, that of the study."""
    return FAMILIES.get(family).code if family in FAMILIES else visible(family)[:12]


def in_order(families: Iterable[str]) -> list[str]:
    """Families in the order of LOOKS, those of the user's own last."""
    known = list(LOOKS)
    return sorted(set(families), key=lambda family: (known.index(family) if family in known else len(known), family))


def applied() -> AbstractContextManager[None]:
    """The figures' settings over Matplotlib's defaults, whatever the user's own are; for the time of a `with`."""
    context: AbstractContextManager[None] = matplotlib.style.context(["default", dict(RC)])
    return context


def new_figure(height: float) -> Figure:
    """An empty figure, a column wide and so many inches high."""
    return Figure(figsize=(WIDTH, min(height, MOST_HEIGHT)), dpi=DPI, layout="constrained")
