"""What is found in a VCF's variants and their windows while they are predicted: counted, and said at the end."""

from __future__ import annotations

import collections
import dataclasses

from nrtune.orchestrator.inference.alleles import Allele
from nrtune.orchestrator.inference.reference_check import REF_DISAGREES
from nrtune.orchestrator.inference.variant_file import Variant
from nrtune.trainables.data.findings import Finding, Severity
from nrtune.trainables.data.streams import readable


class Seen:
    """Counts of what a VCF's alleles have.

    wrong: what `check_references` found.
    """

    def __init__(self, vcf: str, fasta: str, wrong: Finding | None) -> None:
        self._vcf, self._fasta, self._wrong = vcf, fasta, wrong
        self._windows = 0
        self._count = collections.Counter[str]()
        self._example: dict[str, str] = {}

    def take(self, record: Variant, allele: Allele) -> None:
        """Count an allele."""
        windows = allele.windows
        has = {"swapped": bool(allele.ref_is_alt), "rna": allele.rna}
        if windows is not None:
            self._windows += 1
            has |= {
                "n": windows.n_bases > 0,
                "mostly_n": windows.mostly_n,
                "padded": windows.padded > 0,
                "moved": windows.left_aligned > 0,
                "soft": 2 * windows.lower_case > len(windows.ref),
                "rna": allele.rna or windows.uracils > 0,
            }
        for name, there in has.items():
            if there:
                self._count[name] += 1
                if name not in self._example:
                    self._example[name] = readable(
                        f"{record.contig}:{record.start + 1} {record.ref[:20]}>{(allele.alt or '')[:20]}"
                    )

    def findings(self, mismatched: bool) -> tuple[Finding, ...]:
        """What there is to say. mismatched: whether more REFs are not the genome's than alleles were predicted."""
        found = []
        if self._wrong is not None:
            found.append(dataclasses.replace(self._wrong, where=self._vcf))
        elif mismatched:
            what = f"most REFs are not those of {self._fasta}: is the VCF on another assembly?"
            found.append(Finding(id=REF_DISAGREES, severity="warning", what=what, where=self._vcf))
        some = self._count["mostly_n"]
        kinds: tuple[tuple[str, Severity, str, str, str], ...] = (
            ("ref-alt-swapped", "warning", "swapped", f"alleles: {self._fasta} has ALT and not REF", ""),
            ("windows-mostly-n", "warning", "mostly_n", "windows are N in more than half, and their alleles are left out",
             "if the genome is hard-masked, give it unmasked or soft-masked"),
            ("windows-with-n", "note", "n", f"windows hold N{f', {some} of them more than half' if some else ''}", ""),
            ("windows-beyond-contig", "note", "padded", "windows reach beyond a contig's ends, N there", ""),
            ("windows-soft-masked", "note", "soft", "windows are lower case in more than half; they count as bases", ""),
            ("indels-left-aligned", "note", "moved", "insertions and deletions were left-aligned", ""),
            ("u-for-t", "note", "rna", "alleles or windows have U, taken for T", ""),
        )  # fmt: skip
        found += [
            Finding(id=id_, severity=severity, what=what, where=self._vcf, count=self._count[name], of=self._windows,
                    example=self._example[name], advice=advice)
            for id_, severity, name, what, advice in kinds if self._count[name]
        ]  # fmt: skip
        return tuple(found)
