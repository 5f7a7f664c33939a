"""Effects of a VCF's variants: the file again with INFO fields, and a Parquet table, a row an alternative allele."""

from __future__ import annotations

import collections
import importlib.metadata
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pysam
from numpy.typing import NDArray

from nrtune.orchestrator.inference.predictor import Predictor, means_of
from nrtune.orchestrator.inference.variant_file import Variant, VariantFile
from nrtune.trainables.core.errors import UserError, one_line
from nrtune.trainables.core.files import write_atomically
from nrtune.trainables.data.genome import Genome, open_genome
from nrtune.trainables.data.variant_windows import LONGEST, allele_windows, trim

BATCH = 2048
"""Alleles that are predicted together; no more are held."""

BATCH_BYTES = 32 << 20
"""Text that is held for them: a record of many samples is long."""

REASONS = {
    "no_alternative": "no alternative allele",
    "star": "alternative * (deleted upstream)",
    "symbolic": "symbolic alternative or breakend",
    "not_acgt": "letters other than A C G T",
    "same": "alternative equal to the reference",
    "too_long": f"over {LONGEST} bases",
    "contig_missing": "contig not in the FASTA file",
    "outside_contig": "outside the contig",
    "reference_mismatch": "REF is not the FASTA file's",
}
"""Why an allele has no prediction, as the files have it, and in words."""

_FLOATS = {
    "NRTUNE_REF": ("ref_prediction", "Prediction for the window with REF, {scale}"),
    "NRTUNE_ALT": ("alt_prediction", "Prediction for the window with ALT, {scale}"),
    "NRTUNE_EFFECT": ("variant_effect", "NRTUNE_ALT less NRTUNE_REF, {scale}"),
    "NRTUNE_LOW": ("low", "Lower end of the interval of NRTUNE_EFFECT over trainings, 95 %"),
    "NRTUNE_HIGH": ("high", "Upper end of the interval of NRTUNE_EFFECT over trainings, 95 %"),
}
_SKIPPED = "NRTUNE_SKIPPED"
SCHEMA = pa.schema(
    [("chrom", pa.string()), ("pos", pa.int64()), ("id", pa.string()), ("ref", pa.string()), ("alt", pa.string()),
     *((column, pa.float64()) for column, _ in _FLOATS.values()), ("skipped", pa.string())]
)  # fmt: skip


class Counts(NamedTuple):
    """Alleles that were predicted, those that were not by reason, and contigs that the FASTA file calls otherwise."""

    predicted: int
    skipped: dict[str, int]
    renamed: dict[str, str]


class _Allele(NamedTuple):
    """An allele of a record: why it has no prediction, or its windows."""

    alt: str | None
    skipped: str | None
    windows: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None = None


def predict_vcf(
    vcf: Path, fasta: Path, out: Path, predictor: Predictor, *, say: Callable[[str], object] = lambda sentence: None
) -> Counts:
    """Write `out` (.vcf, or .vcf.gz: bgzipped) and a Parquet table beside it, both whole or not at all.

    Records stay in their order and, but for the added fields, letter by letter as they were. What an allele's prediction
    is: `nrtune.trainables.data.variant_windows`.

    Raises UserError for files that can't be read as what they should be; nothing is written then.
    """
    if not out.name.endswith((".vcf", ".vcf.gz")):
        raise UserError(f"--out {out}: give a name that ends in .vcf or .vcf.gz")
    table = table_path(out)
    if vcf.resolve() in (out.resolve(), table.resolve()):
        raise UserError(f"--out {out}: is the VCF itself; give another name")
    for path in (out, table):
        if path.is_dir():
            raise UserError(f"--out {out}: {path} is a folder; give another name")
    pysam.set_verbosity(0)  # htslib's own messages: what matters is said here
    header, records = _survey(vcf)
    genome = open_genome(fasta)
    try:
        say(f"{vcf}: {records} records")
        counts: list[Counts] = []

        def write(first: Path, second: Path) -> None:
            counts.append(_write(vcf, header, genome, predictor, first, second, packed=out.suffix == ".gz"))

        write_atomically(out, lambda first: write_atomically(table, lambda second: write(first, second)))
    except OSError as error:
        raise UserError(f"{out}: can't be written ({one_line(error)})") from error
    finally:
        genome.close()
    return counts[0]


def table_path(out: Path) -> Path:
    """The Parquet table beside a VCF."""
    return out.with_name(out.name.removesuffix(".gz").removesuffix(".vcf") + ".parquet")


def _survey(path: Path) -> tuple[list[bytes], int]:
    """A VCF's header and how many records it has, read to its end, so that nothing is written of one that is torn."""
    file = VariantFile(path)
    records = sum(1 for _ in file)
    return file.header, records


def _described(header: Sequence[bytes], predictor: Predictor) -> bytes:
    """A header's text with the fields that are added, and how they came to be."""
    ours = [f'##INFO=<ID={name},Number=A,Type=Float,Description="{text.format(scale=predictor.scale)}">'
            for name, (_, text) in _FLOATS.items()]  # fmt: skip
    why = f"Why there is no prediction: {', '.join(REASONS)}"
    ours.append(f'##INFO=<ID={_SKIPPED},Number=A,Type=String,Description="{why}">')
    campaign = f"campaign {predictor.campaign}, " if predictor.campaign else ""
    what = f"nrtune {importlib.metadata.version('nrtune')}, {campaign}{predictor.what}"
    ours.append(f"##nrtune_predict={what} ({' '.join(predictor.trials)}), {predictor.strands}, {predictor.scale}")
    if predictor.ensemble:
        ours.append(f"##nrtune_ensemble={json.dumps(predictor.ensemble)}")
    before = (b"##INFO=<ID=NRTUNE_", b"##nrtune_predict=", b"##nrtune_ensemble=")
    kept = [line for line in header[:-1] if not line.startswith(before)]
    return b"\n".join([*kept, *(line.encode() for line in ours), header[-1], b""])


def _write(
    vcf: Path, header: Sequence[bytes], genome: Genome, predictor: Predictor, out: Path, table: Path, packed: bool
) -> Counts:
    predicted, skipped = 0, collections.Counter[str]()
    schema = SCHEMA.with_metadata({b"nrtune": json.dumps(predictor.about).encode()})
    with (
        pysam.BGZFile(str(out), "wb", None) if packed else out.open("wb") as written,
        pq.ParquetWriter(str(table), schema) as rows,
    ):
        written.write(_described(header, predictor))
        for batch in _batches(VariantFile(vcf), genome, predictor.length):
            effects = iter(_effects([a.windows for _, alleles in batch for a in alleles if a.windows], predictor).T)
            columns = collections.defaultdict[str, list[Any]](list)
            for record, alleles in batch:
                values = [None if allele.windows is None else _known(next(effects)) for allele in alleles]
                for allele, of_allele in zip(alleles, values, strict=True):
                    predicted += of_allele is not None
                    skipped[str(allele.skipped)] += of_allele is None
                    _add_row(columns, record, allele, of_allele or (None,) * len(_FLOATS))
                written.write(_annotated(record, alleles, values))
            rows.write_table(pa.table(dict(columns), schema=schema))
    return Counts(predicted, {name: skipped[name] for name in REASONS if skipped[name]}, dict(genome.renamed))


def _known(row: NDArray[np.float64]) -> tuple[float | None, ...]:
    """A row's numbers, None for those that are undefined."""
    return tuple(None if math.isnan(value) else float(value) for value in row)


def _batches(records: Iterable[Variant], genome: Genome, length: int) -> Iterator[list[tuple[Variant, list[_Allele]]]]:
    batch: list[tuple[Variant, list[_Allele]]] = []
    held = size = 0
    for record in records:
        alleles = _alleles(record, genome, length)
        batch.append((record, alleles))
        held, size = held + len(alleles), size + len(record.line)
        if held >= BATCH or size >= BATCH_BYTES:
            yield batch
            batch, held, size = [], 0, 0
    if batch:
        yield batch


def _alleles(record: Variant, genome: Genome, length: int) -> list[_Allele]:
    """A record's alternatives; one without an allele where it has none."""
    if record.alts in ((), (".",)):
        return [_Allele(None, "no_alternative")]
    ref = record.ref.upper()
    of_record, contig_length = _why_not(record, ref, genome), genome.length(record.contig)
    found = []
    for alt in record.alts:
        reason = _why_not_alt(ref, alt) or of_record
        if reason is not None:
            found.append(_Allele(alt, reason))
            continue
        assert contig_length is not None
        fetch = genome.fetcher(record.contig)
        found.append(_Allele(alt, None, allele_windows(fetch, contig_length, record.start, ref, alt, length)))
    return found


def _why_not(record: Variant, ref: str, genome: Genome) -> str | None:
    if set(ref) - set("ACGT"):
        return "not_acgt"
    contig_length = genome.length(record.contig)
    if contig_length is None:
        return "contig_missing"
    if record.start < 0 or record.start + len(ref) > contig_length:
        return "outside_contig"
    there = genome.fetcher(record.contig)(record.start, record.start + len(ref))
    return None if there.upper() == ref else "reference_mismatch"


def _why_not_alt(ref: str, alt: str) -> str | None:
    if alt == "*":
        return "star"
    if alt.startswith("<") or set("[].") & set(alt):
        return "symbolic"
    if set(alt.upper()) - set("ACGT"):
        return "not_acgt"
    _, left, changed = trim(0, ref, alt.upper())
    if not left and not changed:
        return "same"
    return "too_long" if max(len(left), len(changed)) > LONGEST else None


def _effects(
    windows: Sequence[tuple[NDArray[np.uint8], NDArray[np.uint8]]], predictor: Predictor
) -> NDArray[np.float64]:
    """Rows ref_prediction, alt_prediction, variant_effect, low, high; each distinct window is predicted once."""
    if not windows:
        return np.empty((len(_FLOATS), 0))
    every = np.array(windows).reshape(-1, predictor.length)
    distinct, inverse = np.unique(every, axis=0, return_inverse=True)
    values = predictor.predict(distinct)[:, inverse.reshape(-1)]
    ref, alt = values[:, ::2], values[:, 1::2]
    effect = means_of(alt - ref)
    return np.stack([ref.mean(axis=0), alt.mean(axis=0), *effect])


def _add_row(columns: dict[str, list[Any]], record: Variant, allele: _Allele, row: Sequence[float | None]) -> None:
    named = (record.contig, record.start + 1, record.id, record.ref, allele.alt, *row, allele.skipped)
    for name, value in zip(SCHEMA.names, named, strict=True):
        columns[name].append(value)


def _annotated(record: Variant, alleles: Sequence[_Allele], values: Sequence[tuple[float | None, ...] | None]) -> bytes:
    """A record's line with its fields, and otherwise as it was; the fields of an earlier prediction go."""
    columns = record.line.split(b"\t")
    info = [field for field in columns[7].split(b";") if field not in (b"", b".") and not field.startswith(b"NRTUNE_")]
    ours = []
    if alleles[0].alt is not None:  # a field with a value an alternative has none there
        for number, name in enumerate(_FLOATS):
            of_alleles = [None if row is None else row[number] for row in values]
            if any(value is not None for value in of_alleles):
                ours.append(f"{name}={','.join('.' if value is None else f'{value:.6g}' for value in of_alleles)}")
        if any(allele.skipped for allele in alleles):
            ours.append(f"{_SKIPPED}={','.join(allele.skipped or '.' for allele in alleles)}")
    columns[7] = b";".join([*info, *(field.encode() for field in ours)]) or b"."
    return b"\t".join(columns) + b"\n"
