"""What is found in a VCF's variants and their windows while they are predicted: counted, and said at the end."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

from nrtune.orchestrator.inference.alleles import Allele
from nrtune.orchestrator.inference.variant_file import Variant
from nrtune.trainables.core.errors import listing, quoted
from nrtune.trainables.data.findings import REF_DISAGREES, Finding, Severity
from nrtune.trainables.data.streams import readable

Kind = tuple[str, Severity, str, str, str]
"""A finding's id and severity, the name that it is counted by, what is said, with words of _FORMS in braces, and advice."""

_FORMS = {
    True: {"s": "", "v": "s", "es": "es", "are": "is", "were": "was", "have": "has", "its": "its", "it": "it"},
    False: {"s": "s", "v": "", "es": "", "are": "are", "were": "were", "have": "have", "its": "their", "it": "them"},
}


class Seen:
    """Counts of what a VCF's alleles have; records of one place that follow each other are compared.

    wrong: what `check_references` found; others: what else was found before. contigs: of the FASTA file.
    """

    def __init__(
        self, vcf: str, fasta: str, wrong: Finding | None, others: Iterable[Finding] = (), contigs: Sequence[str] = ()
    ) -> None:
        self._vcf, self._fasta, self._wrong, self._others, self._contigs = vcf, fasta, wrong, tuple(others), contigs
        self._alleles = self._windows = 0
        self._count = collections.Counter[str]()
        self._example: dict[str, str] = {}
        self._place: tuple[str, int] | None = None
        self._here: set[tuple[str, str | None]] = set()

    def take(self, record: Variant, allele: Allele) -> None:
        """Count an allele."""
        windows = allele.windows
        self._alleles += 1
        if (place := (record.contig, record.start)) != self._place:
            self._place, self._here = place, set()
        alleles = (record.ref.upper(), allele.alt and allele.alt.upper())
        has = {"twice": alleles in self._here, "swapped": bool(allele.ref_is_alt), "rna": allele.rna,
               "no_contig": allele.skipped == "contig_missing"}  # fmt: skip
        self._here.add(alleles)
        if windows is not None:
            self._windows += 1
            has |= {
                "n": windows.n_bases > 0,
                "mostly_n": windows.mostly_n and windows.n_bases > 0,
                "mostly_beyond": windows.mostly_n and windows.n_bases == 0,
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
                        f"{quoted(record.contig)}:{record.start + 1} {record.ref[:20]}>{(allele.alt or '')[:20]}"
                    )

    def findings(self, mismatched: bool) -> tuple[Finding, ...]:
        """What there is to say. mismatched: whether more REFs are not the genome's than alleles were predicted."""
        found = [*self._others]
        if self._wrong is not None:
            found.append(dataclasses.replace(self._wrong, where=self._vcf))
        elif mismatched:
            what = f"most REFs are not those of {self._fasta}: another sequence, or another assembly?"
            found.append(Finding(id=REF_DISAGREES, severity="warning", what=what, where=self._vcf))
        most, beyond = self._count["mostly_n"], self._count["mostly_beyond"]
        left_out = [f", {count} of them more than half: left out" if count else "" for count in (most, beyond)]
        of_alleles: tuple[Kind, ...] = (
            ("ref-alt-swapped", "warning", "swapped", "allele{s}: the FASTA file has ALT and not REF", ""),
            ("contigs-missing", "warning", "no_contig", f"allele{{s}} {{are}} on contigs that {self._fasta} lacks",
             f"it has {listing(map(readable, self._contigs), 6)}"),
            ("alleles-twice", "note", "twice", "allele{s} {are} there more than once at one place, with one effect", ""),
        )  # fmt: skip
        of_windows: tuple[Kind, ...] = (
            ("windows-with-n", "warning" if most else "note", "n", f"window{{s}} hold{{v}} N{left_out[0]}",
             "if the genome is hard-masked, give it unmasked or soft-masked" if most else ""),
            ("windows-beyond-contig", "warning" if beyond else "note", "padded",
             f"window{{s}} reach{{es}} beyond a contig's ends, N there{left_out[1]}",
             "give the genome, not a part of it" if beyond else ""),
            ("windows-soft-masked", "note", "soft",
             "window{s} {are} lower case (soft-masked) in more than half, taken as bases", ""),
            ("indels-left-aligned", "note", "moved", "insertion{s} or deletion{s} {were} left-aligned", ""),
            ("u-for-t", "note", "rna", "allele{s} or {its} window{s} {have} U, taken for T", ""),
        )  # fmt: skip
        found += counted(of_alleles, self._count, self._example, self._vcf, self._alleles)
        return (*found, *counted(of_windows, self._count, self._example, self._vcf, self._windows))


def counted(
    kinds: Iterable[Kind], count: Mapping[str, int], example: Mapping[str, str], where: str, of: int
) -> Iterator[Finding]:
    """The findings of kinds that were counted, their words in agreement with the number."""
    for id_, severity, name, what, advice in kinds:
        if number := count.get(name, 0):
            yield Finding(id=id_, severity=severity, what=what.format(**_FORMS[number == 1]), where=where, count=number, of=of,
                          example=example[name], advice=advice)  # fmt: skip
