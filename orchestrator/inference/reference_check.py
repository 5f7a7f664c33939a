"""Whether a VCF's REFs are the genome's, and if too few are, what else they could be."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress

from nrtune.orchestrator.inference.variant_file import Variant
from nrtune.trainables.core.errors import UserError, quoted
from nrtune.trainables.data.alleles import AGREEING, REACH
from nrtune.trainables.data.findings import REF_DISAGREES, Finding
from nrtune.trainables.data.genome import Genome
from nrtune.trainables.data.placed import Placed
from nrtune.trainables.data.streams import readable
from nrtune.trainables.data.variant_windows import LONGEST, bases

SAMPLE = 1000
"""Records that are looked at, or up to twice as many, evenly over a VCF."""

OF_CONTIG = 8
"""Records of one contig among them of which something is said apart: most may be of one source, and this of another."""


class Sample:
    """Records evenly over a VCF, of which nobody knows the number before its end."""

    def __init__(self) -> None:
        self.records: list[Variant] = []
        self.seen = 0
        self._step = 1

    def take(self, record: Variant) -> None:
        """Keep a record, or do not."""
        if self.seen % self._step == 0:
            self.records.append(record._replace(line=""))
            if len(self.records) > 2 * SAMPLE:
                self.records, self._step = self.records[::2], 2 * self._step
        self.seen += 1


def check_references(sample: Sequence[Variant], genome: Genome) -> Finding | None:
    """What is wrong with the REFs of a VCF's records, as of `Sample`; None where AGREEING of each contig's are the genome's.

    An error where they are surely those of other places or of the other strand: some then agree by chance with what is at their
    own, and would get the effects of other variants. Others that disagree get none: so a warning, unless most agree and nothing
    explains the rest.
    """
    if (found := _disagreeing(_placed(sample, genome), genome, "")) is not None:
        return found
    of_contig: dict[str, list[Variant]] = {}
    for record in sample:
        of_contig.setdefault(record.contig, []).append(record)
    for contig, records in of_contig.items() if len(of_contig) > 1 else ():
        if len(records) >= OF_CONTIG and (
            found := _disagreeing(_placed(records, genome), genome, f" of {quoted(readable(contig))}")
        ):
            return found
    return None


def check_lengths(header: Sequence[str], genome: Genome, vcf: str) -> list[Finding]:
    """What is found where a VCF's header has other lengths of contigs than the genome: then it is on another assembly."""
    differ = []
    for line in header:
        name, length = (re.search(rf"^##contig=<(?:.*,)?{field}=([^,>]+)", line) for field in ("ID", "length"))
        if name is None or length is None or not re.fullmatch("[0-9]{1,18}", length[1]):
            continue
        if (here := genome.length(name[1])) is not None and here != int(length[1]):
            differ.append(f"{quoted(readable(name[1]))} has {length[1]} and {here}")
    if not differ:
        return []
    what = f"contigs are of other lengths in the header than in {genome.path.name}: another assembly?"
    return [
        Finding(id="contig-lengths", severity="warning", what=what, where=vcf, count=len(differ), example=differ[0])
    ]


def _disagreeing(placed: Placed, genome: Genome, of: str) -> Finding | None:
    """What is wrong with the REFs of some records; of: of which, in words."""
    n, agreeing = len(placed.pos), int(placed.agrees.sum())
    if agreeing >= AGREEING * n:
        return None
    why = None if placed.mostly_masked else placed.explanation()
    sure = why is not None and why.sure
    if 2 * agreeing >= n and not sure:
        return None
    looked_at = f" of {n} that were looked at" if n >= SAMPLE else ""
    many = f"most{looked_at}" if 2 * agreeing < n else f"{n - agreeing} of {n}"
    return Finding(
        id=REF_DISAGREES,
        severity="error" if why is not None and sure and why.elsewhere else "warning",
        what=f"{many} REFs{of} are not those of {genome.path.name}{placed.why(why, few=not sure)}",
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
