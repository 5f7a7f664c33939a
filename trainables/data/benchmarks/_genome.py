"""The genome beside a table of variants."""

from __future__ import annotations

from pathlib import Path

from nrtune.trainables.core.errors import UserError, listing, quoted
from nrtune.trainables.core.given import list_files
from nrtune.trainables.data.variant_windows import LONGEST, trim

_FASTA = tuple(f".{name}{packed}" for name in ("fa", "fasta", "fna", "fas") for packed in ("", ".gz", ".bgz"))


def check_alleles(where: str, ref: str, alt: str) -> None:
    """Refuse alleles that are not of bases, or too long. Raises UserError."""
    if not ref or not alt or set(ref + alt) - set("ACGT"):
        raise UserError(f"{where}: has alleles {quoted(ref)!r} and {quoted(alt)!r}; each must be of A C G T")
    if max(map(len, trim(0, ref, alt)[1:])) > LONGEST:
        raise UserError(f"{where}: its alleles differ in more than {LONGEST} bases; remove the row")


def fasta_beside(path: Path) -> Path:
    """The one FASTA file beside a table. Raises UserError where there is none, or several."""
    found = [other for other in list_files(path.parent, "a folder") if other.name.lower().endswith(_FASTA)]
    if len(found) != 1:
        there = f"there are {listing(other.name for other in found)}" if found else "there is none"
        raise UserError(
            f"{path}: is by coordinates, and the genome must be the one FASTA file beside it ({there}); put it there,"
            f" or give columns ref_seq, alt_seq"
        )
    return found[0]
