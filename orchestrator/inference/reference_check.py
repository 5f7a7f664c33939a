"""Whether a VCF's REFs are the genome's, and if too few are, what else they could be."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from nrtune.orchestrator.inference.variant_file import Variant
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.alleles import AGREEING, REACH
from nrtune.trainables.data.findings import REF_DISAGREES, Finding
from nrtune.trainables.data.genome import Genome
from nrtune.trainables.data.placed import Placed
from nrtune.trainables.data.variant_windows import LONGEST, bases

SAMPLE = 1000
"""Records that are looked at, a VCF's first."""


def check_references(sample: Sequence[Variant], genome: Genome) -> Finding | None:
    """What is wrong with the REFs of a VCF's first records; None where AGREEING of them are the genome's.

    An error where they are surely those of other places or of the other strand: some then agree by chance with what is at their
    own, and would get the effects of other variants. Others that disagree get none: so a warning, unless most agree and nothing
    explains the rest.
    """
    placed = _placed(sample, genome)
    n, agreeing = len(placed.pos), int(placed.agrees.sum())
    if agreeing >= AGREEING * n:
        return None
    why = None if placed.mostly_masked else placed.explanation()
    sure = why is not None and why.sure
    if 2 * agreeing >= n and not sure:
        return None
    of_first = f" of the first {SAMPLE} records" if len(sample) == SAMPLE else ""
    many = "most" if 2 * agreeing < n else f"{n - agreeing} of {n}"
    return Finding(
        id=REF_DISAGREES,
        severity="error" if why is not None and sure and why.elsewhere else "warning",
        what=f"{many} REFs{of_first} are not those of {genome.path.name}{placed.why(why, few=not sure)}",
        advice=placed.advice(why),
    )


def _placed(sample: Sequence[Variant], genome: Genome) -> Placed:
    """What can be compared of the records, on the genome: each place once."""
    found: dict[tuple[str, int, str], str] = {}
    for record in sample:
        ref, alt, size = bases(record.ref), bases(record.alts[0] if record.alts else ""), genome.length(record.contig)
        if set(ref) - set("ACGT") or max(len(ref), len(alt)) > LONGEST or size is None or not 0 <= record.start < size:
            continue
        with suppress(UserError):  # a torn file, which is said where a window needs what is missing
            genome.fetcher(record.contig)(max(record.start - REACH, 0), min(record.start + len(ref) + REACH, size))
            found[record.contig, record.start, ref] = alt
    places = [(contig, start + 1) for contig, start, _ in found]
    return Placed.in_genome(genome, "", "", places, [ref for *_, ref in found], list(found.values()))
