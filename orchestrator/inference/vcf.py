"""Effects of a VCF's variants: the file again with INFO fields, and a Parquet table, a row an alternative allele."""

from __future__ import annotations

import collections
import importlib.metadata
import json
import math
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pysam
from numpy.typing import NDArray

from nrtune.orchestrator.inference.alleles import REASONS, Allele, alleles_of
from nrtune.orchestrator.inference.predictor import Predictor, means_of
from nrtune.orchestrator.inference.reference_check import Sample, check_lengths, check_references
from nrtune.orchestrator.inference.seen import Seen
from nrtune.orchestrator.inference.variant_file import COLUMNS, Variant, VariantFile
from nrtune.trainables.core.errors import UserError, one_line
from nrtune.trainables.core.files import write_atomically
from nrtune.trainables.data.findings import Finding, refuse_errors
from nrtune.trainables.data.genome import Genome, open_genome
from nrtune.trainables.data.streams import readable
from nrtune.trainables.data.variant_windows import Windows

BATCH = 2048
"""Alleles that are predicted together; no more are held."""

BATCH_BYTES = 32 << 20
"""Text that is held for them: a record of many samples is long."""

_FLOATS = {
    "NRTUNE_REF": ("ref_prediction", "Prediction for the window with REF, {scale}"),
    "NRTUNE_ALT": ("alt_prediction", "Prediction for the window with ALT, {scale}"),
    "NRTUNE_EFFECT": ("variant_effect", "NRTUNE_ALT less NRTUNE_REF, {scale}"),
    "NRTUNE_LOW": ("low", "Lower end of the interval of NRTUNE_EFFECT over trainings, 95 %"),
    "NRTUNE_HIGH": ("high", "Upper end of the interval of NRTUNE_EFFECT over trainings, 95 %"),
}
_COUNTS = {
    "NRTUNE_N_BASES": ("n_bases", "Letters of the contig in the window other than A C G T, N to the model"),
    "NRTUNE_LEFT_ALIGNED": ("left_aligned", "Bases by which POS goes to the left as the insertion or deletion is normalised"),
    "NRTUNE_PADDED": ("padded", "Places of the window beyond the contig's ends, N to the model"),
    "NRTUNE_REF_IS_ALT": ("ref_is_alt", "1 where the FASTA file has ALT and not REF"),
}  # fmt: skip
_SKIPPED = "NRTUNE_SKIPPED"
FINDINGS = "nrtune_findings"
"""Key of the table's metadata: what was found, as JSON."""
SCHEMA = pa.schema(
    [("chrom", pa.string()), ("pos", pa.int64()), ("id", pa.string()), ("ref", pa.string()), ("alt", pa.string()),
     *((column, pa.float64()) for column, _ in _FLOATS.values()),
     ("n_bases", pa.int32()), ("left_aligned", pa.int64()), ("padded", pa.int32()), ("ref_is_alt", pa.bool_()),
     ("skipped", pa.string())]
)  # fmt: skip


class Counts(NamedTuple):
    """Alleles that were predicted, those that were not by reason, contigs that the FASTA file calls otherwise, and findings."""

    predicted: int
    skipped: dict[str, int]
    renamed: dict[str, str]
    findings: tuple[Finding, ...] = ()


def predict_vcf(
    vcf: Path,
    fasta: Path,
    out: Path,
    predictor: Predictor,
    *,
    accept: Collection[str] = (),
    say: Callable[[str], object] = lambda sentence: None,
) -> Counts:
    """Write `out` (.vcf, or .vcf.gz: bgzipped) and a Parquet table beside it, both whole or not at all.

    Records stay in their order and, but for the added fields, letter by letter as they were. What an allele's prediction
    is: `nrtune.trainables.data.variant_windows`.

    Raises UserError for files that can't be read as what they should be, and for errors that are found in them unless `accept`
    names them; nothing is written then.
    """
    if not out.name.endswith((".vcf", ".vcf.gz")):
        raise UserError(f"--out {out}: give a name that ends in .vcf or .vcf.gz")
    table = table_path(out)
    if vcf.resolve() in (out.resolve(), table.resolve()):
        raise UserError(f"--out {out}: is the VCF itself; give another name")
    for path in (out, table):
        if os.path.isdir(path):
            raise UserError(f"--out {out}: {path} is a folder; give another name")
    pysam.set_verbosity(0)  # of htslib's own messages, as `open_genome`: a BCF is read before
    survey = _survey(vcf)
    genome = open_genome(fasta)
    try:
        wrong = check_references(survey.sample, genome)
        refuse_errors([wrong] if wrong else [], accept)
        lengths = check_lengths(survey.header, genome, vcf.name)
        blank = f" ({survey.blank} empty line{'s' * (survey.blank > 1)} left out)" if survey.blank else ""
        say(f"{vcf}: {survey.records} records{blank}")
        if genome.set_aside:
            say(f"  {genome.set_aside}: an index was made elsewhere")
        counts: list[Counts] = []

        def write(first: Path, second: Path) -> None:
            seen = Seen(vcf.name, fasta.name, wrong, lengths, genome.contigs)
            counts.append(
                _write(vcf, survey.header, genome, predictor, seen, first, second, packed=out.suffix == ".gz")
            )

        write_atomically(out, lambda first: write_atomically(table, lambda second: write(first, second)))
    except OSError as error:
        raise UserError(f"{out}: can't be written ({one_line(error)})") from error
    finally:
        genome.close()
    return counts[0]


def table_path(out: Path) -> Path:
    """The Parquet table beside a VCF."""
    return out.with_name(out.name.removesuffix(".gz").removesuffix(".vcf") + ".parquet")


class _Survey(NamedTuple):
    """A VCF's header, how many records and empty lines it has, and some of its records without their lines."""

    header: list[str]
    records: int
    blank: int
    sample: list[Variant]


def _survey(path: Path) -> _Survey:
    """Read a VCF to its end, so that nothing is written of one that is torn."""
    file, sample = VariantFile(path), Sample()
    for record in file:
        sample.take(record)
    return _Survey(file.header, sample.seen, file.blank, sample.records)


def _described(header: Sequence[str], predictor: Predictor) -> bytes:
    """A header's text with the fields that are added, and how they came to be."""
    ours = [f'##INFO=<ID={name},Number=A,Type=Float,Description="{text.format(scale=predictor.scale)}">'
            for name, (_, text) in _FLOATS.items()]  # fmt: skip
    ours += [f'##INFO=<ID={name},Number=A,Type=Integer,Description="{text}">' for name, (_, text) in _COUNTS.items()]
    why = f"Why there is no prediction: {', '.join(REASONS)}"
    ours.append(f'##INFO=<ID={_SKIPPED},Number=A,Type=String,Description="{why}">')
    campaign = f"campaign {predictor.campaign}, " if predictor.campaign else ""
    what = f"nrtune {importlib.metadata.version('nrtune')}, {campaign}{predictor.what}"
    ours.append(f"##nrtune_predict={what} ({' '.join(predictor.trials)}), {predictor.strands}, {predictor.scale}")
    if predictor.ensemble:
        ours.append(f"##nrtune_ensemble={json.dumps(predictor.ensemble)}")
    before = ("##INFO=<ID=NRTUNE_", "##nrtune_predict=", "##nrtune_ensemble=")
    kept = [line for line in header[:-1] if not line.startswith(before)]
    return "\n".join([*kept, *ours, header[-1], ""]).encode("utf-8", "surrogateescape")


def _write(
    vcf: Path,
    header: Sequence[str],
    genome: Genome,
    predictor: Predictor,
    seen: Seen,
    out: Path,
    table: Path,
    packed: bool,
) -> Counts:
    predicted, skipped = 0, collections.Counter[str]()
    schema = SCHEMA.with_metadata({b"nrtune": json.dumps(predictor.about).encode()})
    with (
        pysam.BGZFile(str(out), "wb", None) if packed else out.open("wb") as written,
        pq.ParquetWriter(str(table), schema) as rows,
    ):
        written.write(_described(header, predictor))
        for batch in _batches(VariantFile(vcf), genome, predictor.length):
            every = (allele for _, alleles in batch for allele in alleles)
            effects = iter(_effects([a.windows for a in every if a.windows and not a.skipped], predictor).T)
            columns = collections.defaultdict[str, list[Any]](list)
            for record, alleles in batch:
                values = [None if allele.skipped else _known(next(effects)) for allele in alleles]
                for allele, of_allele in zip(alleles, values, strict=True):
                    predicted += of_allele is not None
                    skipped[str(allele.skipped)] += of_allele is None
                    seen.take(record, allele)
                    _add_row(columns, record, allele, of_allele or (None,) * len(_FLOATS))
                written.write(_annotated(record, alleles, values))
            rows.write_table(pa.table(dict(columns), schema=schema))
        counts = Counts(predicted, {name: skipped[name] for name in REASONS if skipped[name]}, dict(genome.renamed))
        counts = counts._replace(findings=seen.findings(counts.skipped.get("reference_mismatch", 0) > predicted))
        rows.add_key_value_metadata({FINDINGS: json.dumps([finding.as_json() for finding in counts.findings])})
    return counts


def _batches(records: Iterable[Variant], genome: Genome, length: int) -> Iterator[list[tuple[Variant, list[Allele]]]]:
    """Records with their alleles, in their order, as many at once as BATCH and BATCH_BYTES allow."""
    batch: list[tuple[Variant, list[Allele]]] = []
    held = size = 0
    for record in records:
        alleles = alleles_of(record, genome, length)
        batch.append((record, alleles))
        held, size = held + len(alleles), size + len(record.line)
        if held >= BATCH or size >= BATCH_BYTES:
            yield batch
            batch, held, size = [], 0, 0
    if batch:
        yield batch


def _known(row: NDArray[np.float64]) -> tuple[float | None, ...]:
    """A row's numbers, None for those that are undefined."""
    return tuple(None if math.isnan(value) else float(value) for value in row)


def _effects(windows: Sequence[Windows], predictor: Predictor) -> NDArray[np.float64]:
    """Rows ref_prediction, alt_prediction, variant_effect, low, high; each distinct window is predicted once."""
    if not windows:
        return np.empty((len(_FLOATS), 0))
    every = np.array([pair for one in windows for pair in (one.ref, one.alt)])
    distinct, inverse = np.unique(every, axis=0, return_inverse=True)
    values = predictor.predict(distinct)[:, inverse.reshape(-1)]
    ref, alt = values[:, ::2], values[:, 1::2]
    effect = means_of(alt - ref)
    return np.stack([ref.mean(axis=0), alt.mean(axis=0), *effect])


def _counts(allele: Allele) -> tuple[int | None, int | None, int | None, bool | None]:
    """What stands beside an effect, in the order of _COUNTS."""
    if (windows := allele.windows) is None:
        return None, None, None, allele.ref_is_alt
    return windows.n_bases, windows.left_aligned, windows.padded, allele.ref_is_alt


def _add_row(columns: dict[str, list[Any]], record: Variant, allele: Allele, row: Sequence[float | None]) -> None:
    texts = (readable(record.contig), record.start + 1, record.id, readable(record.ref))
    alt = None if allele.alt is None else readable(allele.alt)
    for name, value in zip(SCHEMA.names, (*texts, alt, *row, *_counts(allele), allele.skipped), strict=True):
        columns[name].append(value)


def _annotated(record: Variant, alleles: Sequence[Allele], values: Sequence[tuple[float | None, ...] | None]) -> bytes:
    """A record's line with its fields, and otherwise as it was; the fields of an earlier prediction go."""
    columns = record.line.split("\t", len(COLUMNS))
    info = [field for field in columns[7].split(";") if field not in ("", ".") and not field.startswith("NRTUNE_")]
    ours = []
    if alleles[0].alt is not None:  # a field with a value an alternative has none there
        floats = [(None,) * len(_FLOATS) if row is None else row for row in values]
        fields = [*zip(_FLOATS, zip(*floats, strict=True), strict=True),
                  *zip(_COUNTS, zip(*map(_counts, alleles), strict=True), strict=True)]  # fmt: skip
        for name, of_alleles in fields:
            if any(value is not None for value in of_alleles):
                ours.append(f"{name}={','.join('.' if value is None else f'{value:.6g}' for value in of_alleles)}")
        if any(allele.skipped for allele in alleles):
            ours.append(f"{_SKIPPED}={','.join(allele.skipped or '.' for allele in alleles)}")
    columns[7] = ";".join([*info, *ours]) or "."
    return ("\t".join(columns) + "\n").encode("utf-8", "surrogateescape")
