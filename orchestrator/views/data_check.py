"""What `nrtune data check` says of a file or folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nrtune.orchestrator.views.tables import aligned
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.audit import audit
from nrtune.trainables.data.benchmarks import BENCHMARKS, VariantSet
from nrtune.trainables.data.cell_lines import asked_or_usual
from nrtune.trainables.data.dataset import Dataset
from nrtune.trainables.data.findings import Finding
from nrtune.trainables.evaluation.covered import uneven_means
from nrtune.trainables.training.read_data import read_training_data

LENGTH = 230
"""Bases of the windows of a lentiMPRA's models."""
ROWS = "rows are counted from 1, without a table's header, blank lines and comments"
"""How findings, and errors, number the rows of files."""


class Checked(NamedTuple):
    """What was read: data, or none, and benchmarks; what the audit found in them; and all of it for people."""

    dataset: Dataset | None
    benchmarks: tuple[VariantSet, ...]
    findings: tuple[Finding, ...]
    text: str

    def as_json(self) -> dict[str, Any]:
        """Digests, sizes and findings, for programs."""
        known = () if self.dataset is None else (self.dataset,)
        read = [{"name": one.name, "rows": len(one), "digest": one.digest, "notes": list(one.notes)}
                for one in (*known, *self.benchmarks)]  # fmt: skip
        return {"read": read, "findings": [finding.as_json() for finding in self.findings]}


def check(paths: Sequence[Path], cell_line: str | None, reading: Mapping[str, Any] | None = None) -> Checked:
    """Read and audit a data file, variants of benchmarks, or a data file with the benchmarks that it will be scored on.

    Data and benchmarks are read, and audited, as a campaign on them would. cell_line: None for the data file's, and of benchmarks
    alone for the one that each tells of itself. reading: how a data file is read, by the keywords of `read_dataset`. Raises
    UserError for what can't be read, for two data files, and for two of one benchmark beside data.
    """
    of_path = {
        path: next((name for name in BENCHMARKS if BENCHMARKS.get(name).recognises(path)), None) for path in paths
    }
    data = [path for path, name in of_path.items() if name is None and not path.is_dir()]
    if len(data) > 1:
        raise UserError(f"{data[1]}: is a second data file; check one at a time, beside the benchmarks that it is for")
    variants = {path: name or "cagi5" for path, name in of_path.items() if path not in data}
    dataset: Dataset | None = None
    if data:
        by_name: dict[str, Path] = {}
        for path, name in variants.items():
            if by_name.setdefault(name, path) != path:
                raise UserError(
                    f"{path}: is a second {name}, and a campaign takes one; check one at a time beside data"
                )
        found = read_training_data(data[0], by_name, cell_line=cell_line, reading=reading)
        dataset, benchmarks = found.dataset, found.benchmarks
        places = [by_name[one.benchmark] for one in benchmarks]
    else:
        benchmarks = tuple(read_variants(name, path, cell_line) for path, name in variants.items())
        places = list(variants)
    texts = [] if dataset is None else [_dataset_text(dataset)]
    texts += [_variants_text(path, one) for path, one in zip(places, benchmarks, strict=True)]
    findings = tuple(audit(dataset, benchmarks))
    said = [f"{finding.severity} {finding.id}: {finding}" for finding in findings]
    said += [ROWS] if any("row" in finding.example for finding in findings) else []
    return Checked(dataset, benchmarks, findings, "\n".join([*texts, *(said or ["the audit found nothing"])]))


def read_variants(name: str, path: Path, cell_line: str | None) -> VariantSet:
    """A benchmark's variants; the cell line is the one given, else the one that the folder tells of itself. Raises UserError."""
    benchmark = BENCHMARKS.get(name)
    return benchmark.read(path, length=LENGTH, cell_line=asked_or_usual(cell_line, benchmark.cell_line_of(path)))


def _dataset_text(dataset: Dataset) -> str:
    lines = [f"{dataset.name}: {len(dataset)} sequences of {dataset.length} bases"]
    for split in ("train", "val", "test"):
        rows = dataset.rows(split)
        activity = dataset.activity[rows]
        line = f"  {split}: {len(rows)} rows, activity {activity.mean():.3f} ± {activity.std():.3f} (log2 RNA/DNA)"
        if dataset.aleatoric_std is not None:
            std = dataset.aleatoric_std[rows]
            line += f", replicate std median {float(np.median(std)):.3f}"
            line += f", {int((std == 0).sum())} of them 0" if (std == 0).any() else ""
        lines.append(line)
    lines += [f"  note: {note}" for note in dataset.notes]
    return "\n".join([*lines, f"  digest {dataset.digest}"])


def _variants_text(path: Path, variants: VariantSet) -> str:
    on = f" of {variants.assembly}" if variants.assembly else ""
    windows = f"{len(variants.windows)} distinct windows of {variants.windows.shape[1]} bases"
    lines = [f"{path}: {variants.title}, {len(variants)} variants{on}, {windows}"]
    lines.append(f"matched{f' to {variants.cell_line}' if variants.cell_line else ''}: {', '.join(variants.matched)}")
    counts = variants.counts()
    names = {"element": "element", "part": "part", "n": "n", **{name: name.upper() for name in variants.strata},
             "deletions": "deletions"}  # fmt: skip
    shown = [name for name in names if name in ("element", "n") or counts[name].astype(bool).any()]
    rows = [[str(row[name]) for name in shown] for row in counts.to_dict("records")]
    lines += [f"  {line}" for line in aligned([names[name] for name in shown], rows, 2 if "part" in shown else 1)]
    overlapping = [", ".join(locus) for locus in variants.matched_loci if len(locus) > 1]
    notes = [f"{names} overlap: they share one weight in a mean" for names in overlapping]
    notes += [*uneven_means(counts, variants.strata), *variants.notes]
    return "\n".join([*lines, *(f"  note: {note}" for note in notes), f"  digest {variants.digest}"])
