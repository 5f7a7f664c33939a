"""The alternative alleles of a VCF's records: why one has no prediction, or the windows that a model is shown of it."""

from __future__ import annotations

from typing import NamedTuple

from nrtune.orchestrator.inference.variant_file import Variant
from nrtune.trainables.data.genome import Genome
from nrtune.trainables.data.variant_windows import LONGEST, Windows, bases, trim, variant_windows

REASONS = {
    "no_alternative": "no alternative allele",
    "star": "alternative * (deleted upstream)",
    "symbolic": "symbolic alternative or breakend",
    "not_acgt": "letters other than A C G T",
    "same": "alternative equal to the reference",
    "too_long": f"over {LONGEST} bases",
    "contig_missing": "contig not in the FASTA file",
    "outside_contig": "outside the contig",
    "mostly_n": "over half of the window is N",
    "reference_mismatch": "REF is not the FASTA file's",
}
"""Why an allele has no prediction, as the files have it, and in words."""


class Allele(NamedTuple):
    """An allele of a record: why it has no prediction, or None.

    windows: what a model is shown; None where that can't be known. ref_is_alt: whether the genome has the alternative where REF
    should be; None where it can't be known. rna: whether it is written with U, which was taken for T.
    """

    alt: str | None
    skipped: str | None
    windows: Windows | None = None
    ref_is_alt: bool | None = None
    rna: bool = False


def alleles_of(record: Variant, genome: Genome, length: int) -> list[Allele]:
    """A record's alternatives; one without an allele where it has none."""
    if not record.alts:
        return [Allele(None, "no_alternative")]
    ref = bases(record.ref)
    of_record, contig_length = _why_not(record, ref, genome), genome.length(record.contig)
    found = []
    for given in record.alts:
        alt, rna = bases(given), "U" in (record.ref + given).upper()
        reason = _why_not_alt(ref, given) or of_record
        if reason is not None:
            swapped = _is_there(record, alt, genome) if reason == "reference_mismatch" else None
            found.append(Allele(given, reason, ref_is_alt=swapped))
            continue
        assert contig_length is not None
        windows = variant_windows(genome.fetcher(record.contig), contig_length, record.start, ref, alt, length)
        found.append(Allele(given, "mostly_n" if windows.mostly_n else None, windows, ref_is_alt=False, rna=rna))
    return found


def _why_not(record: Variant, ref: str, genome: Genome) -> str | None:
    if set(ref) - set("ACGT"):
        return "not_acgt"
    contig_length = genome.length(record.contig)
    if contig_length is None:
        return "contig_missing"
    if record.start < 0 or record.start + len(ref) > contig_length:
        return "outside_contig"
    return None if _is_there(record, ref, genome) else "reference_mismatch"


def _is_there(record: Variant, allele: str, genome: Genome) -> bool:
    """Whether the genome has an allele at a record's place."""
    end = record.start + len(allele)
    if end > (genome.length(record.contig) or 0):
        return False
    return bases(genome.fetcher(record.contig)(record.start, end)) == allele


def _why_not_alt(ref: str, given: str) -> str | None:
    if given == "*":
        return "star"
    if given.startswith("<") or set("[].") & set(given):
        return "symbolic"
    alt = bases(given)
    if set(alt) - set("ACGT"):
        return "not_acgt"
    _, left, changed = trim(0, ref, alt)
    if not left and not changed:
        return "same"
    return "too_long" if max(len(left), len(changed)) > LONGEST else None
