"""Names and numbers as a reader wants them, in tables, figures and sentences."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping, Sequence

from nrtune.trainables.data.benchmarks import BENCHMARKS


def short_name(name: str) -> str:
    """A trial's name for a label: `DH7` for DH7_distributional_dual; RS-002 stays."""
    published = re.fullmatch(r"([A-Z]+\d+)_\w+( \(.+\))?", name)
    if published:
        return published[1] + ("*" if published[2] else "")
    return name if len(name) <= 16 else name[:15] + "…"


def short_names(names: Sequence[str]) -> list[str]:
    """Short names; those that several trials would share stay long."""
    short = [short_name(name) for name in names]
    return [s if short.count(s) == 1 else name for s, name in zip(short, names, strict=True)]


def argument(path: object) -> str:
    """A path as an argument, which is no option where its name begins with a dash."""
    return f"./{path}" if str(path).startswith("-") else str(path)


def shell_path(path: object) -> str:
    """A path as a command line takes it, whatever its name."""
    return shlex.quote(argument(path))


_WORDS = {
    "noise/corr": "Noise correlation",
    "noise/corr_calibrated": "Noise correlation, calibrated",
    "noise/low_noise_spearman": "Spearman, low-noise fifth",
    "noise/high_noise_spearman": "Spearman, high-noise fifth",
    "noise/gap": "Spearman, low − high noise",
    "noise/variance_spearman": "Variance Spearman",
}


def label(metric: str) -> str:
    """A metric's name for people: `CAGI5 Spearman, challenge`."""
    if metric.startswith("val/noise/"):
        return label(metric.removeprefix("val/")).removesuffix("test") + "validation"
    if metric in _WORDS:
        return _WORDS[metric] + ", test"
    match metric.split("/"):
        case ["val", kind]:
            return f"Validation {kind.capitalize()}"
        case ["test", kind]:
            return f"Test {kind.capitalize()}"
        case [benchmark, *rest] if benchmark in BENCHMARKS:
            return _of_variants(BENCHMARKS.get(benchmark).title, rest) or metric
    return metric


def _of_variants(title: str, rest: Sequence[str]) -> str | None:
    """A metric of a benchmark, by what follows the benchmark's name."""
    match rest:
        case [*part, "hc_lc_gap"]:
            return ", ".join([f"{title} HC − LC Spearman", *part])
        case [*part, ("spearman" | "pearson") as kind, stratum, element]:
            strata = [] if stratum == "all" else [stratum.upper() if stratum in ("hc", "lc") else stratum]
            where = [] if element == "mean" else [element]
            return ", ".join([f"{title} {kind.capitalize()}", *strata, *part, *where])
    return None


def phrase(metric: str) -> str:
    """A metric's name within a sentence."""
    name = label(metric)
    return name if name[:2].isupper() else name[:1].lower() + name[1:]


def number(value: float, signed: bool = False) -> str:
    """A number of three decimals with a real minus sign."""
    return f"{value:{'+' if signed else ''}.3f}".replace("-", "−")


def p_value(value: float) -> str:
    """A p-value of three decimals, – for one that is undefined."""
    return "–" if math.isnan(value) else "<.001" if value < 0.001 else f"{value:.3f}"


def listed(items: Sequence[str]) -> str:
    """`a, b and c`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def replicate_command(
    folder: object, use_cases: Sequence[str], *, own: object = None, select_on: str | None = None
) -> str:
    """The command that replicates a campaign for use cases, none standing for all.

    own: the file that further ones are from. select_on: where it is not what the campaign selects on.
    """
    words = ["nrtune", "replicate", argument(folder)]
    words += [] if own is None else ["--use-cases", str(own)]
    words += [] if select_on is None else ["--select-on", select_on]
    for name in use_cases:
        words += ["--use-case", name]
    return shlex.join(words)


def not_kept(folder: object, fingerprints: Mapping[str, str]) -> str:
    """That checkpoints of these trials, by their names, were not kept; with the command that trains the first again."""
    (name, fingerprint), *others = fingerprints.items()
    new = name.replace("/", "-")
    commands = [
        f"{shlex.join(['nrtune', 'best', argument(folder), '--trial', name, '--as-settings'])} > {shlex.quote(f'{new}.yaml')}",
        shlex.join(["nrtune", "search", f"{new}.yaml", "--confirm", "none", "--out", new]),
        shlex.join(["cp", f"{new}/trials/{fingerprint}/best.pt", f"{argument(folder)}/trials/{fingerprint}/"]),
    ]
    what = f"the checkpoint{'s' * bool(others)} of {listed(list(fingerprints))} {'were' if others else 'was'} not kept"
    again = f"{name} again, and so the others" if others else "it again"
    return f"{folder}: {what}; this trains {again}: {' && '.join(commands)}"


def count(n: int, noun: str) -> str:
    """`1 trial`, `2 trials`, `2 families`."""
    if n == 1:
        return f"1 {noun}"
    return f"{n} {noun[:-1]}ies" if noun.endswith("y") else f"{n} {noun}s"


def use_case_name(use_case: str) -> str:
    """A use case's name in a sentence."""
    return "HC–LC gap" if use_case == "hc_lc_gap" else use_case.replace("_", " ")


def capital(text: str) -> str:
    """A sentence's beginning: the first letter is a capital, the others stay."""
    return text[:1].upper() + text[1:]
