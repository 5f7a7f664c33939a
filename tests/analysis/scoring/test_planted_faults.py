"""Faults that are planted into good predictions are found, each for what it is; nothing is found in good ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nrtune.analysis.scoring.prediction_files import read_effects
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.alleles import REACH, shift_words
from nrtune.trainables.data.benchmarks import VariantSet
from nrtune.trainables.data.benchmarks.cagi5 import read_cagi5
from nrtune.trainables.data.findings import Finding

OTHER_STRAND = str.maketrans("ACGT", "TGCA")
Fault = Callable[[pd.DataFrame, np.ndarray, np.random.Generator], tuple[pd.DataFrame, str, str]]
"""Plants into a table's rows (n,) something, and says the finding's id, and words that it has."""


def predictions(variants: VariantSet, generator: np.random.Generator) -> pd.DataFrame:
    """Of any model, in any order."""
    table = variants.table()[["element", "chrom", "pos", "ref", "alt", "value"]]
    table["variant_effect"] = generator.uniform(0.05, 3) * table.pop("value") + generator.normal(0, 0.3, len(table))
    return table.sample(frac=1, random_state=int(generator.integers(1000))).reset_index(drop=True)


def shifted(table, rows, generator):
    by = int(generator.integers(1, REACH + 1)) * int(generator.choice([-1, 1]))
    return table.assign(pos=table["pos"] + by * rows), "rows-elsewhere", shift_words(-by)


def other_strand(table, rows, generator):
    turned = {name: table[name].where(~rows, table[name].str.translate(OTHER_STRAND)) for name in ("ref", "alt")}
    return table.assign(**turned), "rows-elsewhere", "Ref and Alt are the other strand's"


def swapped(table, rows, generator):
    ref, alt = table["ref"].where(~rows, table["alt"]), table["alt"].where(~rows, table["ref"])
    return table.assign(ref=ref, alt=alt), "rows-elsewhere", "Ref and Alt are swapped"


def some(rows, generator):
    at = np.flatnonzero(rows)
    return generator.choice(at, int(generator.integers(1, len(at) // 2)), replace=False)


def missing(table, rows, generator):
    return table.drop(some(rows, generator)), "predictions-missing", "have no prediction"


def duplicated(table, rows, generator):
    return pd.concat([table, table.loc[some(rows, generator)]]), "rows-twice", "rows are copies of others"


def with_two_values(table, rows, generator):
    again = table.loc[some(rows, generator)]
    both = pd.concat([table, again.assign(variant_effect=again["variant_effect"] + 1)])
    return both, "", "variants twice with different values"


def in_percent(table, rows, generator):
    return table.assign(variant_effect=table["variant_effect"] * 100), "predictions-scale", "in percent"


def of_rna(table, rows, generator):
    written = {name: table[name].where(~rows, table[name].str.replace("T", "u")) for name in ("ref", "alt")}
    return table.assign(**written), "u-for-t", "taken for T"


def constant(table, rows, generator):
    return table.assign(variant_effect=0.1), "predictions-constant", "no correlation"


FAULTS: list[Fault] = [
    shifted,
    other_strand,
    swapped,
    missing,
    duplicated,
    with_two_values,
    in_percent,
    constant,
    of_rna,
]


def found_in(path: Path, variants: VariantSet) -> tuple[Finding, ...] | str:
    """What is found in a file of predictions, or the sentence that refuses it."""
    try:
        return read_effects(path, variants).findings
    except UserError as error:
        return str(error)


def plant(variants: VariantSet, seed: int, path: Path) -> None:
    """One fault into all rows, or those of one element; it is found, and in the unharmed rows nothing is."""
    generator = np.random.default_rng([seed, 4])
    table = predictions(variants, generator)
    if generator.random() < 0.3:  # those of the challenge alone, as a file of predictions may have
        table = table[table["pos"].isin(variants.pos[variants.part == 1])].reset_index(drop=True)
        challenge = variants.subset(variants.part == 1, variants.matched).table()[["element", "pos", "ref", "alt"]]
        table = table.merge(challenge, on=["element", "pos", "ref", "alt"])
    table.to_csv(path, index=False)
    assert read_effects(path, variants).findings == (), seed
    name = generator.choice(["", *variants.elements])
    rows = (table["element"] == name).to_numpy() if name else np.ones(len(table), bool)
    fault = FAULTS[seed % len(FAULTS)]
    harmed, id, words = fault(table, rows, generator)
    harmed.to_csv(path, index=False)
    found = found_in(path, variants)
    if isinstance(found, str):  # none matches as given, or two values are one variant's
        assert words in found, (seed, fault, found)
        assert id in ("", "rows-elsewhere"), (seed, fault, found)
        return
    assert {one.id for one in found} <= {id, "predictions-missing"}, (seed, fault, found)
    assert [one for one in found if one.id == id and words in one.what], (seed, fault, words, found)
    of_element = [one for one in found if one.id == "rows-elsewhere"]
    assert {one.where for one in of_element} <= {f"{path.name}, {of}" for of in ([name] if name else variants.elements)}


def test_planted_faults_are_found(simulated_folder, tmp_path):
    variants = read_cagi5(simulated_folder / "cagi5", cell_line="simulated")
    for seed in range(2 * len(FAULTS)):
        plant(variants, seed, tmp_path / "p.csv")


@pytest.mark.slow
@pytest.mark.parametrize("source", ["simulated", "real"])
def test_many_planted_faults_are_found(source, request, tmp_path):
    folder = request.getfixturevalue("simulated_folder" if source == "simulated" else "real_data")
    variants = read_cagi5(folder / "cagi5", cell_line="simulated" if source == "simulated" else None)
    for seed in range(200 if source == "simulated" else 8 * len(FAULTS)):
        plant(variants, seed, tmp_path / "p.csv")
