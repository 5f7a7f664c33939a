"""`nrtune predict`: what is to be predicted, where it is written to, and what is said of it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import typer

from nrtune.orchestrator.inference.alleles import REASONS
from nrtune.orchestrator.inference.predictor import Predictor, means_of
from nrtune.orchestrator.inference.sequence_file import SequenceFile
from nrtune.orchestrator.inference.vcf import BATCH, predict_vcf, table_path
from nrtune.trainables.core.errors import UserError, listing, one_line
from nrtune.trainables.core.files import write_atomically
from nrtune.trainables.core.outside_text import visible
from nrtune.trainables.data.findings import Finding

SCHEMA = pa.schema(
    [("name", pa.string()), ("prediction", pa.float64()), ("low", pa.float64()), ("high", pa.float64()),
     ("n_bases", pa.int32()), ("padded", pa.int32()), ("adapter_bases", pa.int32())]
)  # fmt: skip


def check_options(
    vcf: Path | None, fasta: Path | None, sequences: Path | None, out: Path | None, accept: Collection[str] = ()
) -> None:
    """Refuse options that do not go together. Raises UserError."""
    if (vcf is None) == (sequences is None):
        raise UserError("give either --vcf with --fasta, or --fasta-sequences")
    if vcf is not None and fasta is None:
        raise UserError("--fasta is missing: give the genome that --vcf is on, as a FASTA file")
    if sequences is not None and fasta is not None:
        raise UserError("--fasta is the genome of a --vcf; leave it out with --fasta-sequences")
    if sequences is not None and accept:
        raise UserError(f"--accept {min(accept)}: is about a --vcf; leave it out with --fasta-sequences")
    if sequences is not None and out is not None and out.suffix not in (".csv", ".parquet"):
        raise UserError(f"--out {out}: give a name that ends in .csv or .parquet")


def run_vcf(vcf: Path, fasta: Path, out: Path | None, predictor: Predictor, accept: Collection[str] = ()) -> None:
    """Predict a VCF's variants, print the files that were written, and say what was left out and what was found."""
    out = out or Path(f"{vcf.name.removesuffix('.gz').removesuffix('.vcf')}.nrtune.vcf.gz")
    counts = predict_vcf(vcf, fasta, out, predictor, accept=accept, say=_say)
    _say(
        f"{predictor.what}: {counts.predicted} alleles predicted, {sum(counts.skipped.values())} not ({predictor.scale})"
    )
    _say_members(predictor)
    _say_constant(predictor)
    for reason, count in counts.skipped.items():
        _say(f"  {REASONS[reason]}: {count}")
    _say_findings(counts.findings)
    if counts.renamed:
        names = [f"{ours} is {theirs}" for ours, theirs in counts.renamed.items()]
        _say(f"  contigs that {fasta.name} calls otherwise: {listing(names, 8)}")
    typer.echo(f"{out}\n{table_path(out)}")


def run_sequences(sequences: Path, out: Path | None, predictor: Predictor) -> None:
    """Predict plain sequences, a row each, and print the table's path."""
    out = out or Path(f"{sequences.stem}.nrtune.csv")
    rows, findings = predict_sequences(sequences, out, predictor)
    _say(f"{predictor.what}: {rows} sequences predicted ({predictor.scale})")
    _say_members(predictor)
    _say_constant(predictor)
    _say_findings(findings)
    typer.echo(out)


def predict_sequences(sequences: Path, out: Path, predictor: Predictor) -> tuple[int, tuple[Finding, ...]]:
    """Write a table (.csv or .parquet) of SCHEMA, a row a record of a FASTA file; returns the rows and what was found in them.

    What the model is shown of a sequence, and what raises UserError: `SequenceFile`. n_bases: N of the sequence; padded: N around
    it; adapter_bases: bases of adapters that it was given.
    """
    file, rows = SequenceFile(sequences, predictor.length, predictor.adapters), 0

    def write(path: Path) -> None:
        nonlocal rows
        schema = SCHEMA.with_metadata({b"nrtune": json.dumps(predictor.about).encode()})
        kind = pq.ParquetWriter if out.suffix == ".parquet" else pyarrow.csv.CSVWriter
        with kind(str(path), schema) as writer:
            shown = iter(file)
            while batch := list(itertools.islice(shown, BATCH)):
                names, tokens, *counts = zip(*batch, strict=True)
                means = means_of(predictor.predict(np.stack(tokens)))
                columns = [pa.array(names), *(pa.array(column, from_pandas=True) for column in means)]
                columns += [pa.array(column, pa.int32()) for column in counts]
                writer.write_table(pa.table(columns, schema=schema))
                rows += len(names)

    try:
        write_atomically(out, write)
    except OSError as error:
        raise UserError(f"{out}: can't be written ({one_line(error)})") from error
    return rows, file.findings


def _say_members(predictor: Predictor) -> None:
    """Of an ensemble's file, whose campaign need not be here."""
    if of := predictor.ensemble:
        members = [f"{one['name']} (seed {one['seed']}, {one['fingerprint']})" for one in of["members"]]
        _say(f"  members: {', '.join(members)} of campaign {of['campaign']} ({of['campaign_id']})")


def _say_constant(predictor: Predictor) -> None:
    for trial in predictor.constant:
        _say(f"  {trial} told no validation sequence from another: it predicts one activity for all, and effects of 0")


def _say_findings(findings: Iterable[Finding]) -> None:
    for finding in findings:
        counted = "" if finding.count is None else f"{finding.count} "
        example = f", such as {finding.example}" if finding.example else ""
        _say(f"  {counted}{finding.what}{example}{f'; {finding.advice}' if finding.advice else ''}")


def _say(sentence: str) -> None:
    typer.echo(visible(sentence), err=True)
