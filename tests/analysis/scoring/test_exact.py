"""Every metric of a score against its literal definition at 1e-12: on the real folders, and on elements that nobody knows."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from nrtune.analysis.scoring.prediction_files import read_effects
from nrtune.analysis.scoring.score import score_variants
from nrtune.trainables.data.audit.variants import audit_variants
from nrtune.trainables.data.benchmarks import VariantSet
from nrtune.trainables.data.benchmarks._windows import REFERENCES
from nrtune.trainables.data.benchmarks.cagi5 import read_cagi5
from nrtune.trainables.data.benchmarks.satmut import TABLE, read_satmut
from nrtune.trainables.data.sequences import reverse_complement, to_text, to_tokens

CLOSE = 1e-12


class Measured(NamedTuple):
    """A row of a file, as it is written there."""

    element: str
    part: str
    pos: str
    ref: str
    alt: str
    value: float
    high: bool


def literal_pearson(a: Sequence[float], b: Sequence[float]) -> float:
    mean_a, mean_b = math.fsum(a) / len(a), math.fsum(b) / len(b)
    covariance = math.fsum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True))
    return covariance / math.sqrt(math.fsum((x - mean_a) ** 2 for x in a) * math.fsum((y - mean_b) ** 2 for y in b))


def literal_ranks(values: Sequence[float]) -> list[float]:
    """One more than how many are less, and half of how many others are the same."""
    ordered = sorted(values)
    first = {value: place for place, value in reversed(list(enumerate(ordered)))}
    count = {value: ordered.count(value) for value in first} if len(first) < len(ordered) else dict.fromkeys(first, 1)
    return [first[value] + (count[value] + 1) / 2 for value in values]


def literal_metrics(
    prefix: str, rows: Iterable[tuple[Measured, float]], matched: Sequence[str], locus: Mapping[str, str]
) -> dict[str, float]:
    """All metrics of one part, by the definitions of docs/methods.md."""
    rows = list(rows)
    found: dict[str, float] = {}
    for stratum in ("all", "hc", "lc"):
        for element in dict.fromkeys(row.element for row, _ in rows):
            chosen = [(effect, row.value) for row, effect in rows
                      if row.element == element and (stratum == "all" or row.high == (stratum == "hc"))]  # fmt: skip
            found[f"{prefix}/n/{stratum}/{element}"] = len(chosen)
            if len(chosen) > 10:
                effects, values = zip(*chosen, strict=True)
                found[f"{prefix}/pearson/{stratum}/{element}"] = literal_pearson(effects, values)
                ranks = literal_ranks(effects), literal_ranks(values)
                found[f"{prefix}/spearman/{stratum}/{element}"] = literal_pearson(*ranks)
        for kind in ("pearson", "spearman"):
            by_locus: dict[str, list[float]] = {}
            for element in matched:
                if (name := f"{prefix}/{kind}/{stratum}/{element}") in found:
                    by_locus.setdefault(locus.get(element, element), []).append(found[name])
            if by_locus:
                means = [math.fsum(of) / len(of) for of in by_locus.values()]
                found[f"{prefix}/{kind}/{stratum}/mean"] = math.fsum(means) / len(means)
    gap = [found.get(f"{prefix}/spearman/{stratum}/mean", math.nan) for stratum in ("hc", "lc")]
    found[f"{prefix}/hc_lc_gap"] = gap[0] - gap[1]
    return found


def predictions(rows: Sequence[Measured], seed: int) -> list[float]:
    """Effects that follow the values a little, some of them tied."""
    generator = np.random.default_rng(seed)
    effects = [0.7 * row.value + generator.normal(0, 0.4) for row in rows]
    return [round(effect, 1) if generator.random() < 0.3 else effect for effect in effects]


def check(
    variants: VariantSet, rows: Sequence[Measured], folder: Path, locus: Mapping[str, str] | None = None, seed: int = 0
) -> None:
    """Score a file of predictions of all rows, in another order, and compare each metric."""
    effects = predictions(rows, seed)
    path = folder / "predictions.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["element", "pos", "ref", "alt", "variant_effect"])
        for place in np.random.default_rng(seed).permutation(len(rows)):
            row = rows[place]
            writer.writerow([row.element, row.pos, row.ref, row.alt, repr(effects[place])])
    scores = score_variants([read_effects(path, variants)], variants, resample=lambda metric: False)
    found = dict(zip(scores.table["metric"], scores.table["value"], strict=True))
    expected: dict[str, float] = {}
    for part in dict.fromkeys(row.part for row in rows):
        of_part = [pair for pair in zip(rows, effects, strict=True) if pair[0].part == part]
        prefix = "/".join(filter(None, (variants.benchmark, part)))
        expected |= literal_metrics(prefix, of_part, variants.matched, locus or {})
    assert {name for name, value in found.items() if not math.isnan(value)} == {
        name for name, value in expected.items() if not math.isnan(value)
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=CLOSE, rel=0, nan_ok=True), name


def cells(path: Path) -> list[dict[str, str]]:
    content = path.read_bytes()
    text = (gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content).decode()
    lines = [line for line in text.splitlines() if not line.startswith("##")]
    return list(csv.DictReader(io.StringIO("\n".join(lines).lstrip("#")), delimiter="\t"))


def rows_of_cagi5(folder: Path) -> list[Measured]:
    return [
        Measured(path.stem.partition("_")[2], path.stem.partition("_")[0], row["Pos"], row["Ref"], row["Alt"],
                 float(row["Value"]), float(row["Confidence"]) >= 0.1)
        for path in sorted(folder.glob("*_*.tsv")) for row in cells(path)
    ]  # fmt: skip


def test_the_real_cagi5(real_data, tmp_path):
    rows = rows_of_cagi5(real_data / "cagi5")
    for cell_line in ("K562", "HepG2"):
        check(read_cagi5(real_data / "cagi5", cell_line=cell_line), rows, tmp_path)


def test_the_studys_own_table(real_data, tmp_path):
    """Of the data sets of CAGI5's references; SORT1's three are one locus, and PKLR's two."""
    folder = tmp_path / "satmut"
    folder.mkdir()
    (folder / TABLE).write_bytes((real_data / "satmut" / TABLE).read_bytes())
    (folder / REFERENCES).write_bytes((real_data / "cagi5" / REFERENCES).read_bytes())
    variants = read_satmut(folder, cell_line="HepG2")
    rows = [
        Measured(row["Element"], "", row["Pos"], row["Ref"], row["Alt"], float(row["Coefficient"]),
                 float(row["pValue"]) < 1e-5 and int(row["Barcodes"]) >= 10)
        for row in cells(folder / TABLE)
        if row["Element"] in variants.elements and row["Release"] == variants.assembly and row["Ref"] in "ACGT"
    ]  # fmt: skip
    one = {name: name.partition(".")[0].partition("-")[0] for name in variants.elements}
    check(variants, rows, tmp_path, one)


NAMES = ("Alpha", "beta-2", "GAMMA.x", "d", "Epsilon_7", "zeta", "ETA")
LENGTHS = (600, 450, 231, 90, 1200, 300, 300)


def invented(seed: int) -> tuple[dict[str, dict[str, object]], list[Measured]]:
    """Seven elements of random sequences, `zeta` and `ETA` of one locus, with a part of the variants of each measured."""
    generator = np.random.default_rng(seed)
    references: dict[str, dict[str, object]] = {}
    rows: list[Measured] = []
    for number, (name, length) in enumerate(zip(NAMES, LENGTHS, strict=True)):
        start = int(generator.integers(1, 10**8))
        sequence = "".join(generator.choice(list("ACGT"), length))
        chrom = f"chr{number + 3}"
        if name == "ETA":
            before = references["zeta"]
            start, chrom = int(str(before["start"])) + 100, str(before["chrom"])
            sequence = str(before["sequence"])[100:] + sequence[:100]
        references[name] = {"chrom": chrom, "start": start, "sequence": sequence, "cell_line": "mine"}
        for at in range(length):
            for alt in sorted(set("ACGT") - {sequence[at]}):
                if generator.random() < 0.8:
                    value, high = round(float(generator.standard_t(3)) / 4, 4), bool(generator.random() < 0.4)
                    rows.append(Measured(name, "", str(start + at), sequence[at], alt, value, high))
    return references, rows


@pytest.mark.parametrize("seed", range(3))
def test_seven_invented_elements_as_cagi5(tmp_path, seed):
    references, rows = invented(seed)
    generator = np.random.default_rng(seed)
    released = {row.pos: bool(generator.random() < 0.25) for row in rows}  # by places, which two elements share
    rows = [row._replace(part="release" if released[row.pos] else "challenge") for row in rows]
    (tmp_path / REFERENCES).write_text(json.dumps(references))
    for name in NAMES:
        for part in ("release", "challenge"):
            lines = ["#Chrom\tPos\tRef\tAlt\tValue\tConfidence"]
            lines += [
                f"{references[name]['chrom']}\t{row.pos}\t{row.ref}\t{row.alt}\t{row.value}\t{0.1 if row.high else 0.0999}"
                for row in rows if (row.element, row.part) == (name, part)
            ]  # fmt: skip
            (tmp_path / f"{part}_{name}.tsv").write_text("\n".join(lines) + "\n")
    variants = read_cagi5(tmp_path)
    assert [found for found in (*variants.findings, *audit_variants(variants)) if found.severity != "note"] == []
    assert sorted(variants.matched) == sorted(NAMES)
    check(variants, rows, tmp_path, {"ETA": "zeta"}, seed)


@pytest.mark.parametrize("seed", range(3))
def test_seven_invented_elements_as_the_studys_table(tmp_path, seed):
    """Some of the other strand, and with deletions; their windows are worked out from texts."""
    references, rows = invented(seed)
    flipped = {name: f"{name}-flip" for name in ("Alpha", "d")}
    deleted = [row._replace(alt="-", value=row.value / 3) for row in rows if int(row.pos) % 5 == 0]
    rows = [*rows, *{(row.element, row.pos): row for row in deleted}.values()]
    rows = [row._replace(element=flipped.get(row.element, row.element)) for row in rows]
    (tmp_path / REFERENCES).write_text(json.dumps(references))
    lines = ["Chrom\tPos\tRef\tAlt\tBarcodes\tDNA\tRNA\tCoefficient\tpValue\tElement\tRelease"]
    lines += [
        f"{references[row.element.removesuffix('-flip')]['chrom']}\t{row.pos}\t{row.ref}\t{row.alt}\t10\t1\t1\t{row.value}\t"
        f"{9.9e-6 if row.high else 1e-5}\t{row.element}\tGRCh38" for row in rows
    ]  # fmt: skip
    (tmp_path / "elements.tsv").write_text("\n".join(lines) + "\n")
    variants = read_satmut(tmp_path)
    assert [found for found in (*variants.findings, *audit_variants(variants)) if found.severity != "note"] == []
    check(variants, rows, tmp_path, {"ETA": "zeta"}, seed)
    chosen = np.random.default_rng(seed).choice(len(variants), 300, replace=False)
    for row in chosen:
        name = variants.elements[variants.element[row]]
        reference = references[name.removesuffix("-flip")]
        windows = literal_windows(
            str(reference["sequence"]), int(variants.pos[row]) - int(str(reference["start"])), variants.alt[row], 230
        )
        turn: Callable[[str], str] = turned if name.endswith("-flip") else str
        for of, window in zip((variants.ref_window, variants.alt_window), windows, strict=True):
            assert to_text(variants.windows[of[row]]) == turn(window)


def literal_windows(sequence: str, at: int, alt: str, length: int) -> tuple[str, str]:
    """The variant at index length // 2, N beyond the reference; behind a deletion the bases move up."""
    around = "N" * length
    changed = sequence[:at] + alt.replace("-", "") + sequence[at + 1 :]
    first = length + at - length // 2
    ref, other = ((around + whole + around)[first : first + length] for whole in (sequence, changed))
    return ref, other


def turned(window: str) -> str:
    return to_text(reverse_complement(to_tokens([window], "")[0]))
