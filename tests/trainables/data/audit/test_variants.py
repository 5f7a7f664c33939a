"""Faults that are planted into good variants are found, each for what it is, and nothing is found in good ones."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from satmut_files import write_table

from nrtune.trainables.data.alleles import REACH, shift_words
from nrtune.trainables.data.audit.variants import MIN_STRATUM, audit_variants
from nrtune.trainables.data.benchmarks import BENCHMARKS, VariantSet
from nrtune.trainables.data.benchmarks.cagi5 import PARTS, read_cagi5
from nrtune.trainables.data.findings import Finding
from nrtune.trainables.evaluation import metrics

SEEDS = range(4)
OTHER_STRAND = str.maketrans("ACGT", "TGCA")


@dataclasses.dataclass
class Data:
    """Variants by element and part as a table, with the references of their elements."""

    table: pd.DataFrame
    references: dict[str, dict[str, Any]]

    def changed(self, rows: pd.Series | np.ndarray, **columns: Any) -> Data:
        table = self.table.copy()
        for name, of in columns.items():
            column = table[name].to_numpy().astype(object)
            column[rows] = of(self.table[rows])
            table[name] = column
        return Data(table, self.references)


@functools.cache
def whole_table(folder: Path) -> pd.DataFrame:
    return read_cagi5(folder).table()


def data_of(folder: Path, elements: int, generator: np.random.Generator) -> Data:
    """A CAGI5 folder's variants, of some of its elements."""
    references = json.loads((folder / "references.json").read_text())
    chosen = sorted(generator.choice(sorted(references), elements, replace=False))
    table = whole_table(folder)
    table = table[table["element"].isin(chosen)].reset_index(drop=True)
    return Data(table, {name: references[name] for name in chosen})


def as_cagi5(data: Data, folder: Path) -> Path:
    folder.mkdir()
    for (name, part), rows in data.table.groupby(["element", "part"]):
        chrom = data.references[name]["chrom"].removeprefix("chr")
        lines = [f"{chrom}\t{r.pos}\t{r.ref}\t{r.alt}\t{r.value!r}\t{r.confidence!r}" for r in rows.itertuples()]
        text = "\n".join(["#Chrom\tPos\tRef\tAlt\tValue\tConfidence", *lines])
        (folder / f"{part}_{name}.tsv").write_text(text)
    (folder / "references.json").write_text(json.dumps(data.references))
    return folder


def as_satmut(data: Data, folder: Path) -> Path:
    rows = [
        {"Pos": r.pos, "Ref": r.ref, "Alt": r.alt, "Coefficient": r.value, "pValue": 0.5, "Element": r.element}
        for r in data.table.itertuples()
    ]
    return write_table(folder, rows, data.references)


def as_table(data: Data, folder: Path) -> Path:
    """By coordinates, of a genome with a contig for each element."""
    folder.mkdir()
    genome = "".join(f">{name}\n{of['sequence']}\n" for name, of in data.references.items())
    (folder / "genome.fa").write_text(genome)
    start = data.table["element"].map({name: of["start"] for name, of in data.references.items()})
    table = data.table.assign(
        chrom=data.table["element"],
        pos=data.table["pos"].astype(int) - start + 1,
        part=data.table["part"].map({"release": "select", "challenge": "report"}),
    )
    table[["element", "chrom", "pos", "ref", "alt", "value", "part"]].to_csv(folder / "v.tsv", sep="\t", index=False)
    return folder / "v.tsv"


WRITERS: Mapping[str, Callable[[Data, Path], Path]] = {"cagi5": as_cagi5, "satmut": as_satmut, "table": as_table}


def read(kind: str, data: Data, folder: Path) -> VariantSet:
    """Variants, written and read as of one benchmark; all elements are averaged."""
    path = WRITERS[kind](data, folder)
    lines = ",".join(["any", *(f"{name}=any" for name in data.references)])
    return BENCHMARKS.get(kind).read(path, length=230, cell_line=None if kind == "table" else lines)


def findings_of(variants: VariantSet) -> list[Finding]:
    return [*variants.findings, *audit_variants(variants)]


def of_one(data: Data, kind: str, generator: np.random.Generator) -> tuple[str, np.ndarray]:
    """An element, and its rows; of CAGI5, which has a file for each, also those of a part alone."""
    name = str(generator.choice(sorted(data.references)))
    rows = (data.table["element"] == name).to_numpy(copy=True)
    if kind == "cagi5" and (part := generator.choice(["", *PARTS])):
        rows &= (data.table["part"] == part).to_numpy()
    return name, rows


def some(rows: np.ndarray, generator: np.random.Generator, most: int = 20) -> np.ndarray:
    chosen = np.zeros(len(rows), bool)
    chosen[generator.choice(np.flatnonzero(rows), generator.integers(1, most), replace=False)] = True
    return chosen


def shifted(data, kind, generator):
    name, rows = of_one(data, kind, generator)
    by = int(generator.integers(1, REACH + 1)) * int(generator.choice([-1, 1]))
    return data.changed(rows, pos=lambda t: t["pos"] + by), name, "ref-disagrees", shift_words(-by)


def other_strand(data, kind, generator):
    name, rows = of_one(data, kind, generator)
    turned = {column: lambda t, c=column: t[c].str.translate(OTHER_STRAND) for column in ("ref", "alt")}
    return data.changed(rows, **turned), name, "ref-disagrees", "Ref and Alt are the other strand's"


def swapped(data, kind, generator):
    name, rows = of_one(data, kind, generator)
    harmed = data.changed(rows, ref=lambda t: t["alt"], alt=lambda t: t["ref"])
    return harmed, name, "ref-disagrees", "Ref and Alt are swapped"


def other_assembly(data, kind, generator):
    name, rows = of_one(data, kind, generator)
    by = int(generator.integers(10_000, 10**6))
    words = "" if kind == "table" else shift_words(-by)
    return data.changed(rows, pos=lambda t: t["pos"] + by), name, "outside-reference", words


def other_sequence(data, kind, generator):
    one, other = sorted(data.references)
    length = min(len(data.references[name]["sequence"]) for name in (one, other))
    changed = {name: dict(of) for name, of in data.references.items()}
    changed[one]["sequence"], changed[other]["sequence"] = (
        data.references[name]["sequence"].ljust(length, "A") for name in (other, one)
    )
    words = "" if kind == "table" else f"they are those of {other}'s sequence"
    return Data(data.table, changed), one, "ref-disagrees", words


def masked(data, kind, generator):
    name = str(generator.choice(sorted(data.references)))
    of = data.references[name]
    harmed = {**data.references, name: {**of, "sequence": "N" * len(of["sequence"])}}
    return Data(data.table, harmed), name, "ref-disagrees", "the reference is masked"


def other_value(data, kind, generator):
    name, rows = of_one(data, kind, generator)
    again = data.table[some(rows, generator)]
    table = pd.concat([data.table, again.assign(value=again["value"] + 0.5)], ignore_index=True)
    return Data(table, data.references), name, "variant-twice", "two values or more"


def in_challenge_too(data, kind, generator):
    name, _ = of_one(data, kind, generator)
    release = ((data.table["element"] == name) & (data.table["part"] == "release")).to_numpy()
    again = data.table[some(release, generator)].assign(part="challenge")
    table = pd.concat([data.table, again], ignore_index=True)
    return Data(table, data.references), name, "parts-share-variants", "what is selected on is reported on, too"


def in_percent(data, kind, generator):
    name, rows = of_one(data, kind, generator)
    return data.changed(rows, confidence=lambda t: t["confidence"] * 100), name, "confidence-range", "percent?"


def ref_as_alt(data, kind, generator):
    name, rows = of_one(data, kind, generator)
    return data.changed(some(rows, generator), alt=lambda t: t["ref"]), name, "ref-is-alt", "which is no variant"


FAULTS = {
    **dict.fromkeys(
        [(fault, kind) for fault in (shifted, other_strand, swapped, other_assembly, other_sequence, masked, other_value,
                                     ref_as_alt)
         for kind in WRITERS]
    ),
    (in_challenge_too, "cagi5"): None,
    (in_challenge_too, "table"): None,
    (in_percent, "cagi5"): None,
}  # fmt: skip


@pytest.mark.parametrize("source", ["simulated", "real"])
@pytest.mark.parametrize(("fault", "kind"), FAULTS, ids=lambda value: getattr(value, "__name__", value))
def test_a_planted_fault_is_found_for_what_it_is(fault, kind, source, request, tmp_path):
    folder = request.getfixturevalue("simulated_folder" if source == "simulated" else "real_data") / "cagi5"
    for seed in SEEDS if source == "simulated" else SEEDS[:2]:
        generator = np.random.default_rng([seed, len(fault.__name__)])
        harmed, name, id, words = fault(data_of(folder, 2, generator), kind, generator)
        errors = [found for found in findings_of(read(kind, harmed, tmp_path / str(seed))) if found.severity == "error"]
        assert [found for found in errors if found.id == id and words in found.what], (seed, name, words, errors)
        more = {"outside-reference", "parts-share-variants"} if fault is shifted else {"outside-reference"}
        assert {found.id for found in errors} <= {id, *more}, (seed, errors)
        if id in ("ref-disagrees", "outside-reference") and fault is not other_sequence:
            of_element = [found for found in errors if found.id != "parts-share-variants"]
            assert all(f", {name}" in found.where for found in of_element), (seed, name, errors)


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("source", ["simulated", "real"])
def test_nothing_but_notes_is_found_in_good_variants(kind, source, request, tmp_path):
    folder = request.getfixturevalue("simulated_folder" if source == "simulated" else "real_data") / "cagi5"
    elements = len(json.loads((folder / "references.json").read_text()))
    found = findings_of(read(kind, data_of(folder, elements, np.random.default_rng(0)), tmp_path / "good"))
    assert [one for one in found if one.severity != "note"] == []
    assert {one.id for one in found} <= {"ref-disagrees", "small-stratum"}


def good(folder: Path) -> VariantSet:
    return read_cagi5(folder / "cagi5", cell_line="simulated")


def test_the_smallest_stratum_is_the_metrics():
    assert MIN_STRATUM == metrics.MIN_STRATUM


def test_strata_too_small_to_select_on_are_said_before_they_select(simulated_folder):
    variants = good(simulated_folder)
    release = np.flatnonzero((variants.part == 0) & (variants.element == 0))
    chosen = ~np.isin(np.arange(len(variants)), release[MIN_STRATUM - 1 :])
    found = [one for one in audit_variants(variants.subset(chosen, variants.matched)) if "release variants" in one.what]
    assert [(one.id, one.severity, one.count, one.where) for one in found] == [
        ("small-stratum", "warning", MIN_STRATUM - 1, "cagi5, SIM1")
    ]
    assert "selected on" in found[0].what


def test_positions_in_two_parts_are_a_warning(simulated_folder):
    variants = good(simulated_folder)
    first = np.flatnonzero((variants.element == 0) & (variants.part == 0))
    other = first[variants.pos[first] == variants.pos[first[0]]]
    part = variants.part.copy()
    if len(other) < 2:  # one allele a position is there: a second, in the other part
        challenge = np.flatnonzero((variants.element == 0) & (variants.part == 1))[0]
        pos, ref = variants.pos.copy(), variants.ref.copy()
        pos[challenge], ref[challenge] = pos[first[0]], ref[first[0]]
        alt = variants.alt.copy()
        alt[challenge] = next(b for b in "ACGT" if b not in (ref[challenge], alt[first[0]]))
        variants = dataclasses.replace(variants, pos=pos, ref=ref, alt=alt)
    else:
        part[other[1]] = 1
        variants = dataclasses.replace(variants, part=part)
    (found,) = [one for one in audit_variants(variants) if one.id.startswith("parts-share")]
    assert (found.id, found.severity) == ("parts-share-positions", "warning")


def test_a_reader_that_says_nothing_of_refs_is_audited_all_the_same(simulated_folder):
    variants = good(simulated_folder)
    assert not [one for one in audit_variants(variants) if one.id == "ref-disagrees"]
    wrong = variants.ref_mismatch.copy()
    wrong[np.flatnonzero(variants.element == 1)] = True
    wrong[np.flatnonzero(variants.element == 2)[0]] = True
    found = [
        one for one in audit_variants(dataclasses.replace(variants, ref_mismatch=wrong)) if one.id == "ref-disagrees"
    ]
    assert [(one.where, one.severity, one.count) for one in found] == [
        ("cagi5, SIM2", "error", int((variants.element == 1).sum())),
        ("cagi5, SIM3", "note", 1),
    ]


def test_sequences_measured_twice_go_by_the_sequences():
    pairs = [("ACGT", "ACGA"), ("ACGT", "ACGA"), ("CCCC", "CCCA"), ("CCCC", "CCCA"), ("GGGG", "GGGG"), ("ACGT", "ACGC")]
    variants = VariantSet.from_sequences(
        benchmark="some", title="Some", name="some", length=6, ref=[a for a, _ in pairs], alt=[b for _, b in pairs],
        value=[1, 2, 3, 3, 0, np.nan],
    )  # fmt: skip
    found = {(one.id, one.severity): one.count for one in audit_variants(variants)}
    assert found == {
        ("variant-twice", "error"): 2, ("variant-twice", "warning"): 2, ("ref-is-alt", "error"): 1,
        ("value-missing", "error"): 1, ("small-stratum", "warning"): 6,
    }  # fmt: skip


def test_few_variants_are_not_diagnosed_with_certainty(simulated_folder, tmp_path):
    """Of four positions some change makes them agree by chance; it is named with that doubt, unless another file shows it too."""
    generator = np.random.default_rng(1)
    data = data_of(simulated_folder / "cagi5", 1, generator)
    first = data.table["pos"].isin(data.table.loc[data.table["part"] == "release", "pos"].unique()[:4])
    few = Data(data.table[first & (data.table["part"] == "release")], data.references)
    alone = few.changed(np.ones(len(few.table), bool), pos=lambda t: t["pos"] - 1)
    (found,) = [one for one in read("cagi5", alone, tmp_path / "few").findings if one.id == "ref-disagrees"]
    assert found.severity == "error"
    assert "perhaps" in found.what or "at any shift" in found.what
    challenge = data.table[data.table["part"] == "challenge"]
    both = Data(pd.concat([few.table, challenge], ignore_index=True), data.references)
    both = both.changed(np.ones(len(both.table), bool), pos=lambda t: t["pos"] - 1)
    found = [one for one in read("cagi5", both, tmp_path / "both").findings if one.id == "ref-disagrees"]
    assert len(found) == 2
    assert all(shift_words(1) in one.what and "perhaps" not in one.what for one in found)


@pytest.mark.parametrize("kind", ["cagi5", "satmut"])
def test_a_reference_of_the_other_strand_is_told(kind, simulated_folder, tmp_path):
    """As of an element that is on the - strand, written in its own direction beside positions of the genome."""
    data = data_of(simulated_folder / "cagi5", 1, np.random.default_rng(0))
    (name,) = data.references
    turned = data.references[name]["sequence"].translate(OTHER_STRAND)[::-1]
    variants = read(kind, Data(data.table, {name: {**data.references[name], "sequence": turned}}), tmp_path / "c")
    found = [one for one in variants.findings if one.id == "ref-disagrees"]
    assert found
    for one in found:
        assert one.severity == "error"
        assert "the reference is the other strand's, while positions are of the one; mended" in one.what


def test_a_part_of_the_rows_that_is_shifted_is_told(simulated_folder, tmp_path):
    """As where rows of two sources were joined: the claim that no shift explains them would be wrong."""
    data = data_of(simulated_folder / "cagi5", 1, np.random.default_rng(0))
    half = (np.arange(len(data.table)) % 2 == 0) & (data.table["part"] == "challenge").to_numpy()
    variants = read("satmut", data.changed(half, pos=lambda t: t["pos"] - 1), tmp_path / "c")
    (found,) = [one for one in variants.findings if one.id == "ref-disagrees"]
    assert found.severity == "error"
    assert f"of those rows {shift_words(1)}; mended, {len(data.table)} of {len(data.table)} agree" in found.what
