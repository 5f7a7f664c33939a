"""Lines of a ledger, each with a running number and a digest: what was lost, repeated or altered can be told."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

NUMBER, DIGEST = "record", "digest"
_BEFORE_DIGEST = f',"{DIGEST}":"'.encode()


class Numbered(NamedTuple):
    """What a line is called by, where it stands, and its running number; None: a line of before there were any."""

    name: str
    line: int
    number: int | None


def sealed(text: str, number: int) -> str:
    """A JSON object of a line, with its number and a digest of both."""
    numbered = f'{text[:-1]},"{NUMBER}":{number}'
    return f'{numbered},"{DIGEST}":"{_digest(numbered.encode())}"}}'


def is_altered(line: bytes) -> bool:
    """Whether a line that was sealed is not as it was."""
    head, there, tail = line.rstrip(b"\n").rpartition(_BEFORE_DIGEST)
    return bool(there) and tail != f'{_digest(head)}"}}'.encode()


def missing(found: Iterable[Numbered], last: int = 0) -> list[str]:
    """Clauses that say which numbers are missing among lines, in their order. last: the number that there was, at least."""
    clauses, before, number = [], "the first line", 0
    for one in found:
        here = number + 1 if one.number is None else one.number
        if here > number + 1:
            clauses.append(
                f"{_numbers(number + 1, here - 1)} missing between {before} and {one.name} (line {one.line})"
            )
        number, before = max(number, here), one.name
    if last > number:
        clauses.append(f"{_numbers(number + 1, last)} missing at its end, after {before}")
    return clauses


def _numbers(first: int, last: int) -> str:
    return f"record {first} is" if first == last else f"records {first} to {last} are"


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()
