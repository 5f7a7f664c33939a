"""trials.jsonl, line by line: which of its lines count, and what is wrong with the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from nrtune.analysis.store.sealed import DIGEST, NUMBER, Numbered, is_altered, missing
from nrtune.trainables.core.errors import one_line
from nrtune.trainables.core.given import check_file
from nrtune.trainables.core.inside import regular
from nrtune.trainables.core.shape import parse_json, shown

LONGEST_LINE = 4 << 20


class _Named(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...


R = TypeVar("R", bound=_Named)


class LedgerFile(NamedTuple, Generic[R]):
    """The records that count, in their order; last: the highest number among them, or of lines where they have none.

    damaged: sentences about lines that don't count. lost: about what is missing or repeated.
    """

    records: list[R]
    last: int = 0
    damaged: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


def read_lines(path: Path, shape: Mapping[str, Any], make: Callable[..., R], written: int) -> LedgerFile[R]:
    """Read a ledger; a last line cut short by a crash does not count, and is no damage.

    make: of the fields of a line. written: how many records there were at least.
    """
    records: dict[str, R] = {}
    found: list[Numbered] = []
    damaged, repeated = [], []
    if path.exists():
        check_file(path, "the records of a campaign")
        with open(path, "rb", opener=regular) as file:
            number = 0
            while (line := file.readline(LONGEST_LINE)).endswith(b"\n") or len(line) == LONGEST_LINE:
                number += 1
                try:
                    fields, its_number = _fields(line, shape)
                    record = make(**fields)
                except (ValueError, TypeError) as error:
                    damaged.append(f"{path}: line {number} is damaged ({one_line(error)}), so its trial does not count")
                    found.append(Numbered(f"line {number}", number, None))
                    while len(line) == LONGEST_LINE and not line.endswith(b"\n"):
                        line = file.readline(LONGEST_LINE)
                    continue
                if (first := records.setdefault(record.fingerprint, record)) is not record:
                    repeated.append(f"{path}: line {number} repeats the record of {first.name}, and does not count")
                else:
                    found.append(Numbered(record.name, number, its_number))
    lost = [f"{path}: {clause}" for clause in missing(found, written)]
    last = max([len(found), *(one.number or 0 for one in found)])
    return LedgerFile(list(records.values()), last, tuple(damaged), (*repeated, *lost))


def _fields(line: bytes, shape: Mapping[str, Any]) -> tuple[dict[str, Any], int | None]:
    """A line's record by its fields, and its number. Raises ValueError."""
    if len(line) == LONGEST_LINE:
        raise ValueError(f"has more than {LONGEST_LINE} bytes")
    fields: dict[str, Any] = parse_json(line, {**shape, f"{NUMBER}?": int, f"{DIGEST}?": str})
    number, digest = fields.pop(NUMBER, None), fields.pop(DIGEST, None)
    if is_altered(line) or (number is None) != (digest is None):
        raise ValueError(f"{shown(fields['name'])} was altered since nrtune wrote it")
    return fields, number
