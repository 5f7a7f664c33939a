"""`nrtune predict`: what is to be predicted, where it is written to, and what is said of it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pysam
import typer
from numpy.typing import NDArray

from nrtune.orchestrator.inference.predictor import Predictor, means_of
from nrtune.orchestrator.inference.vcf import BATCH, REASONS, predict_vcf, table_path
from nrtune.trainables.core.errors import UserError, one_line
from nrtune.trainables.core.files import write_atomically
from nrtune.trainables.data.sequences import N_TOKEN, to_tokens

SCHEMA = pa.schema([("name", pa.string()), ("prediction", pa.float64()), ("low", pa.float64()), ("high", pa.float64())])


def check_options(vcf: Path | None, fasta: Path | None, sequences: Path | None, out: Path | None) -> None:
    """Refuse options that do not go together. Raises UserError."""
    if (vcf is None) == (sequences is None):
        raise UserError("give either --vcf with --fasta, or --fasta-sequences")
    if vcf is not None and fasta is None:
        raise UserError("--fasta is missing: give the genome that --vcf is on, as a FASTA file")
    if sequences is not None and fasta is not None:
        raise UserError("--fasta is the genome of a --vcf; leave it out with --fasta-sequences")
    if sequences is not None and out is not None and out.suffix not in (".csv", ".parquet"):
        raise UserError(f"--out {out}: give a name that ends in .csv or .parquet")


def run_vcf(vcf: Path, fasta: Path, out: Path | None, predictor: Predictor) -> None:
    """Predict a VCF's variants, print the files that were written, and say what was left out."""
    out = out or Path(f"{vcf.name.removesuffix('.gz').removesuffix('.vcf')}.nrtune.vcf.gz")
    counts = predict_vcf(vcf, fasta, out, predictor, say=_say)
    _say(
        f"{predictor.what}: {counts.predicted} alleles predicted, {sum(counts.skipped.values())} not ({predictor.scale})"
    )
    _say_members(predictor)
    _say_constant(predictor)
    for reason, count in counts.skipped.items():
        _say(f"  {REASONS[reason]}: {count}")
    if counts.skipped.get("reference_mismatch", 0) > counts.predicted:
        _say(f"  most REFs are not those of {fasta.name}: is the VCF on another assembly?")
    if counts.renamed:
        names = [f"{ours} is {theirs}" for ours, theirs in counts.renamed.items()]
        _say(f"  contigs that {fasta.name} calls otherwise: {', '.join(names[:8])}{' …' * (len(names) > 8)}")
    typer.echo(f"{out}\n{table_path(out)}")


def run_sequences(sequences: Path, out: Path | None, predictor: Predictor) -> None:
    """Predict plain sequences, a row each, and print the table's path."""
    out = out or Path(f"{sequences.stem}.nrtune.csv")
    rows = predict_sequences(sequences, out, predictor)
    _say(f"{predictor.what}: {rows} sequences predicted ({predictor.scale})")
    _say_members(predictor)
    _say_constant(predictor)
    typer.echo(out)


def predict_sequences(sequences: Path, out: Path, predictor: Predictor) -> int:
    """Write a table (.csv or .parquet) of name, prediction, low and high, a row a record of a FASTA file; returns the rows.

    A sequence shorter than the model's is put into the middle, N around it. Raises UserError for a longer one, a letter
    outside ACGTN, and a file that is none.
    """
    rows = 0
    schema = SCHEMA.with_metadata({b"nrtune": json.dumps(predictor.about).encode()})

    def write(path: Path) -> None:
        nonlocal rows
        kind = pq.ParquetWriter if out.suffix == ".parquet" else pyarrow.csv.CSVWriter
        with kind(str(path), schema) as writer:
            for names, tokens in _sequences(sequences, predictor.length):
                means = means_of(predictor.predict(tokens))
                columns = [pa.array(names), *(pa.array(column, from_pandas=True) for column in means)]
                writer.write_table(pa.table(columns, schema=schema))
                rows += len(names)

    try:
        write_atomically(out, write)
    except OSError as error:
        raise UserError(f"{out}: can't be written ({one_line(error)})") from error
    return rows


def _sequences(path: Path, length: int) -> Iterator[tuple[list[str], NDArray[np.uint8]]]:
    """Names and tokens (n, length) of the records, in batches."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; --fasta-sequences takes a FASTA file of sequences")
    pysam.set_verbosity(0)
    found = 0
    try:
        with pysam.FastxFile(str(path)) as file:
            while records := list(itertools.islice(file, BATCH)):
                found += len(records)
                tokens = np.stack([_padded(path, str(r.name), r.sequence or "", length) for r in records])
                yield [str(record.name) for record in records], tokens
    except UserError:
        raise
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: can't be read as a FASTA file ({one_line(error, 120)})") from error
    if not found:
        raise UserError(f"{path}: holds no sequence; --fasta-sequences takes a FASTA file, a record a sequence")


def _padded(path: Path, name: str, sequence: str, length: int) -> NDArray[np.uint8]:
    if not 0 < len(sequence) <= length:
        raise UserError(f"{path}: {name} has {len(sequence)} bases; the model takes 1 to {length}: cut it to them")
    padded = np.full(length, N_TOKEN, np.uint8)
    first = (length - len(sequence)) // 2
    padded[first : first + len(sequence)] = to_tokens([sequence], f"{path}: {name}")[0]
    return padded


def _say_members(predictor: Predictor) -> None:
    """Of an ensemble's file, whose campaign need not be here."""
    if of := predictor.ensemble:
        members = [f"{one['name']} (seed {one['seed']}, {one['fingerprint']})" for one in of["members"]]
        _say(f"  members: {', '.join(members)} of campaign {of['campaign']} ({of['campaign_id']})")


def _say_constant(predictor: Predictor) -> None:
    for trial in predictor.constant:
        _say(f"  {trial} told no validation sequence from another: it predicts one activity for all, and effects of 0")


def _say(sentence: str) -> None:
    typer.echo(sentence, err=True)
