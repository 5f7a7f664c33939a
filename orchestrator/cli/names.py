"""Names that options take: what help lists and shells complete."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

CHOICES: Mapping[str, tuple[str, ...]] = {
    "preset": ("small", "study"),
    "recipe": ("field", "study"),
    "precision": ("auto", "float32", "bf16"),
    "kernels": ("auto", "torch", "triton"),
    "freeze": ("none", "first"),
    "select_on": ("release", "val", "challenge"),
    "noise": ("auto", "orientation", "replicates", "none"),
    "allocation": ("auto", "even", "adaptive"),
    "starting_points": ("auto", "first", "all"),
    "sampler": ("tpe", "nsga2", "random", "grid"),
    "cell_line": ("K562", "HepG2", "simulated"),
    "use_case": (
        "overall", "pearson", "high_confidence", "low_confidence", "noise_resistance", "in_distribution", "balance",
        "hc_lc_gap",
    ),
}  # fmt: skip
"""What a shell completes, written here because what defines it takes a second to import; a test compares them."""


def completing(names: str | Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """What completes an option: one of CHOICES or what is called for names. Behind commas the last name is completed."""

    def complete(incomplete: str) -> list[str]:
        head, comma, last = incomplete.rpartition(",")
        known = CHOICES[names] if isinstance(names, str) else names()
        return [f"{head}{comma}{name}" for name in known if name.startswith(last)]

    return complete


def families() -> Iterable[str]:
    """The names of all families, those of NRTUNE_PLUGINS among them."""
    from nrtune.trainables.core.registry import Registry

    return Registry("nrtune.search_spaces", "family", object).names()


def encoders() -> Iterable[str]:
    """The names of all encoders, those of NRTUNE_PLUGINS among them."""
    from nrtune.trainables.core.registry import Registry

    return Registry("nrtune.trainables.encoders", "encoder", object).names()


def schedulers() -> Iterable[str]:
    """The rules of early stopping, and none."""
    from nrtune.trainables.core.registry import Registry

    return (*Registry("nrtune.orchestrator.lifecycle.rules", "rule", object).names(), "none")


def use_cases() -> Iterable[str]:
    """The use cases of every campaign, those of benchmarks, and all."""
    from nrtune.trainables.core.registry import Registry

    benchmarks: Registry[object] = Registry("nrtune.trainables.data.benchmarks", "benchmark", object)
    own = ("saturation_mutagenesis" if name == "satmut" else name for name in benchmarks if name != "cagi5")
    return (*CHOICES["use_case"], *own, "all")


LISTED: Mapping[str, Callable[[], Iterable[str]]] = {
    "{families}": families,
    "{encoders}": encoders,
    "{schedulers}": schedulers,
    "{use_cases}": lambda: (name for name in use_cases() if name != "all"),
}
"""What stands in help texts for names that are looked up when help is shown."""


def closed(name: str, *, one_of: str | None = None) -> dict[str, Any]:
    """What an option is given that takes one of CHOICES: they are listed, and completed."""
    return {"metavar": one_of or "|".join(CHOICES[name]), "autocompletion": completing(name)}


def with_names(text: str) -> str:
    """A help text with the names that it leaves open."""
    for sign, names in LISTED.items():
        if sign in text:
            text = text.replace(sign, ", ".join(names()))
    return text
