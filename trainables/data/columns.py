"""Which columns of a table of measurements mean what, and cells as numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nrtune.trainables.core.errors import UserError, suggest
from nrtune.trainables.data.findings import count_of
from nrtune.trainables.data.paths import Role
from nrtune.trainables.data.tables import NOTHING, NUMBER

ROLES: Sequence[Role] = get_args(Role)
Columns = Mapping[str, str | Sequence[str]]
"""The column of each role; of replicates several, as a list or with + between; an empty name for none."""

KNOWN: Mapping[Role, Sequence[str]] = {
    "seq": ("seq", "sequence"),
    "activity": ("mean_value", "activity", "expression", "log2fc", "value"),
    "noise": ("aleatoric_std", "noise_std", "replicate_std", "noise", "std"),
    "split": ("split", "set", "subset"),
    "fold": ("fold",),
    "name": ("seq_id", "name", "id"),
    "rev": ("rev", "reverse", "is_rc", "is_reverse", "revcomp"),
    "chrom": ("chrom", "chr", "chromosome"),
}
"""What tables of the field call their columns, in any case."""
_FIRST_OF_SEVERAL: Sequence[Role] = ("name", "rev", "chrom")
"""Roles in which a second known name does not matter: none of them says what is measured, or where it belongs."""

_MEASURED: Sequence[Role] = ("seq", "activity", "noise")
_ADVICE = "write one such as -0.25, or leave such rows out"

LARGEST = float(np.finfo(np.float32).max)
"""What is larger is no measurement, and would not be finite in a data set."""


class MpraTable:
    """A table whose columns are told by their roles.

    table: cells as texts, or as Parquet stores them. columns: names that the user gave, over those that are known. Raises
    UserError for an unknown role, for a column that is not there or there twice, and where two known names are of one role.
    """

    def __init__(self, path: Path, table: pd.DataFrame, columns: Columns) -> None:
        self.path = path
        self.table = table
        self.names = [str(name).strip() for name in table.columns]
        self._given = {role: _names(role, given) for role, given in columns.items()}
        if unknown := next((role for role in self._given if role not in ROLES), None):
            raise UserError(f"--columns {unknown}=…: no column has that role{suggest(unknown, ROLES, _ROLES_TEXT)}")
        for role, names in self._given.items():
            for name in names:
                self._place(name, role)
        self._places = {role: self._find(role) for role in KNOWN}
        self._check_roles()

    def __len__(self) -> int:
        return len(self.table)

    def is_given(self, role: Role) -> bool:
        """Whether the user said which column it is."""
        return bool(self._given.get(role))

    def name(self, role: Role) -> str | None:
        """What the table calls the column of a role; None where it has none."""
        place = self._places[role]
        return None if place is None else self.names[place]

    def texts(self, role: Role) -> list[str] | None:
        """A role's cells without spaces around them, "" for what holds nothing; None without such a column."""
        place = self._places[role]
        return None if place is None else [_text(cell) for cell in self.table.iloc[:, place]]

    def required(self, role: Role) -> list[str]:
        """A role's cells, none of them empty. Raises UserError, with the columns that there are."""
        texts = self.texts(role)
        if texts is None:
            raise UserError(
                f"{self.path}: has no column {KNOWN[role][0]}; it has {self.there}; name it with --columns {role}=NAME"
            )
        if "" in texts:
            raise UserError(
                f"{self.path}: {self.name(role)} is empty in row {texts.index('') + 1}; leave such rows out"
            )
        return texts

    def numbers(self, role: Role, *, required: bool = False) -> NDArray[np.float64] | None:
        """A role's cells as numbers, nan for what holds nothing, which `required` refuses. Raises UserError for other texts."""
        if required:
            self.required(role)
        place = self._places[role]
        advice = f"--columns fold={self.name(role)} takes folds of any names" if role == "fold" else _ADVICE
        return None if place is None else self._numbers(place, advice)

    def replicates(self) -> NDArray[np.float64] | None:
        """The columns of replicates, (N, columns); None where none were named. Raises UserError for one alone."""
        names = self._given.get("replicates", ())
        if not names:
            return None
        if len(names) < 2:
            raise UserError(f"{self.path}: noise from replicates needs two replicate columns or more")
        return np.stack([self._numbers(self._place(name, "replicates")) for name in names], axis=1)

    @property
    def there(self) -> str:
        """The names of all columns, for errors."""
        shown = ", ".join(name if len(name) <= 40 else f"{name[:40]}…" for name in self.names[:20])
        return f"{shown} and {len(self.names) - 20} more" if len(self.names) > 20 else shown

    def _check_roles(self) -> None:
        """See that no column is two measurements, and none twice among the replicates. Raises UserError."""
        taken: dict[str, str] = {}
        named = [(role, self.name(role)) for role in _MEASURED]
        for role, name in (*named, *(("replicates", name) for name in self._given.get("replicates", ()))):
            if name is not None and (other := taken.setdefault(name, role)) != role:
                raise UserError(
                    f"{self.path}: {name} is named for {other} and for {role}; name another column for one of them"
                )
        names = self._given.get("replicates", ())
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise UserError(f"{self.path}: {twice} stands twice among the replicates; name each column once")

    def _place(self, name: str, role: str) -> int:
        if self.names.count(name) > 1:
            raise UserError(f"{self.path}: has {self.names.count(name)} columns {name!r}; rename one of them")
        if name not in self.names:
            hint = suggest(name, self.names, "")
            raise UserError(f"{self.path}: has no column {name!r} for {role}; it has {self.there}{hint}")
        return self.names.index(name)

    def _find(self, role: Role) -> int | None:
        if role in self._given:
            names = self._given[role]
            if len(names) > 1:
                raise UserError(
                    f"--columns {role}={'+'.join(names)}: one column is the {role}; only replicates are several"
                )
            return self._place(names[0], role) if names else None
        lower = [plain_name(name) for name in self.names]
        if role == "chrom":  # perhaps with its assembly, as in chr.hg38
            lower = [name.partition(".")[0] for name in lower]
        found = [place for known in KNOWN[role] for place, name in enumerate(lower) if name == known]
        if len(found) > 1 and role not in _FIRST_OF_SEVERAL:
            both = " and ".join(self.names[place] for place in found)
            first = self.names[found[0]]
            raise UserError(
                f"{self.path}: its columns {both} may each be the {role}; say which with --columns {role}={first}"
            )
        return found[0] if found else None

    def _numbers(self, place: int, advice: str = _ADVICE) -> NDArray[np.float64]:
        column = self.table.iloc[:, place]
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            values = column.to_numpy(np.float64, na_value=np.nan)
            wrong = np.flatnonzero(np.abs(values) > LARGEST)
        else:
            texts = [_text(cell) for cell in column]
            is_number = np.array([NUMBER.fullmatch(text) is not None for text in texts], bool)
            wrong = np.flatnonzero(~is_number & np.array([text != "" for text in texts], bool))
            values = np.array(
                [float(text) if known else np.nan for text, known in zip(texts, is_number, strict=True)], np.float64
            )
            wrong = wrong if len(wrong) else np.flatnonzero(np.abs(values) > LARGEST)
        if len(wrong):
            cell = column.iloc[int(wrong[0])]
            more = f", and {count_of(len(wrong) - 1, 'more row')}" if len(wrong) > 1 else ""
            raise UserError(
                f"{self.path}: {self.names[place]} is {str(cell)!r} in row {int(wrong[0]) + 1}{more}, which is not a number;"
                f" {advice}"
            )
        return values


def plain_name(name: str) -> str:
    """A column's name as it is compared with known ones."""
    return re.sub(r"[ -]", "_", name.lower())


_ROLES_TEXT = f"; the roles are {', '.join(ROLES)}"


def _names(role: str, given: str | Sequence[str] | None) -> tuple[str, ...]:
    parts = (given or "").split("+") if role == "replicates" and isinstance(given, str) else given
    names = (parts,) if isinstance(parts, str) else tuple(parts or ())
    return tuple(name.strip() for name in names if name.strip())


def _text(cell: object) -> str:
    if isinstance(cell, bytes):
        cell = cell.decode("utf-8", "replace")
    text = "" if cell is None else str(cell).strip()
    return "" if text.lower() in NOTHING else text
