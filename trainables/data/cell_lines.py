"""Cell lines: which elements were measured in which, and over which of a benchmark's elements means are."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from nrtune.trainables.core.errors import UserError, listing, quoted, suggest
from nrtune.trainables.data.findings import Finding

DEFAULT_CELL_LINE = "K562"

ELEMENTS_OF_CELL_LINE: Mapping[str, tuple[str, ...]] = {
    "K562": ("GP1BB", "HBB", "HBG1", "PKLR"),
    "HepG2": ("F9", "LDLR", "SORT1"),
    "simulated": ("SIM1", "SIM2", "SIM3", "SIM4"),
}
"""The elements of CAGI5 that stand for a cell line, and simulated ones."""

ELEMENTS: Mapping[str, tuple[str, ...]] = {
    **ELEMENTS_OF_CELL_LINE,
    "HEL92.1.7": ("BCL11A", "GP1BB", "HBB", "HBG1"),
    "HEK293T": ("HNF4A", "MSMB", "MYCrs6983267", "TERT-HEK", "TERT-HEK293T"),
    "SF7996": ("TERT-GAa", "TERT-GBM", "TERT-GSc"),
    "HeLa": ("FOXE1",),
    "SK-MEL-28": ("IRF4",),
    "HaCaT": ("IRF6",),
    "LNCaP": ("MYCrs11986220",),
    "Neuro-2a": ("RET", "UC88"),
    "MIN6": ("TCF7L2", "ZFAND3"),
    "NIH/3T3": ("ZRSh-13", "ZRSh-13h2"),
}
"""Elements, and data sets, measured in a cell line (Kircher et al. 2019, doi:10.1038/s41467-019-11526-w). For K562 and HepG2
those that CAGI5's are matched to: of K562's all but PKLR were measured in HEL 92.1.7, erythroid as well."""


class Matched(NamedTuple):
    """Over which elements means are: of a cell line, "" where all are averaged as none is known; and what is to be said."""

    cell_line: str
    elements: tuple[str, ...]
    findings: tuple[Finding, ...]


def cell_line_of(name: str) -> str | None:
    """The cell line whose name a file name holds, else None."""
    lowered = name.lower()
    return next((line for line in ELEMENTS_OF_CELL_LINE if line.lower() in lowered), None)


def asked_for(text: str | None) -> tuple[str | None, dict[str, str]]:
    """The cell line whose elements are averaged, and the cell lines of elements, of NAME,ELEMENT=NAME,…; either may be missing.

    Raises UserError for what does not read so.
    """
    line: str | None = None
    of_element: dict[str, str] = {}
    for item in (text or "").split(",") if text is not None else ():
        element, equals, name = (part.strip() for part in item.partition("="))
        if not element or (equals and not name) or "=" in name:
            raise UserError(f"--cell-line {text}: give NAME, or ELEMENT=NAME with commas between")
        if equals and of_element.setdefault(element, name) != name:
            raise UserError(f"--cell-line {text}: {element} is given two cell lines; give one")
        if not equals:
            if line is not None:
                raise UserError(f"--cell-line {text}: names two whose elements are averaged; give one, or ELEMENT=NAME")
            line = element
    return line, of_element


def asked_or_usual(text: str | None, usual: str | None) -> str | None:
    """What --cell-line says, with the usual cell line where it names none whose elements are averaged."""
    line, of_element = asked_for(text)
    if line is not None or usual is None:
        return text
    return ",".join([usual, *(f"{element}={name}" for element, name in of_element.items())])


def match_elements(
    where: str,
    elements: Sequence[str],
    text: str | None,
    told: Mapping[str, str],
    called: Mapping[str, str] | None = None,
    left_out: Collection[str] = (),
) -> Matched:
    """The elements that means are over: those of the cell line that is asked for, or of K562, else of the one that all have.

    Where nobody knows any element's cell line, or they differ and none is asked for, all are averaged, and that is a finding.

    where: the folder, for messages. text: as of `asked_for`. told: the cell lines that the data name themselves.
    called: other names by which elements are known. left_out: names that are there, of which nothing is left to score.
    Raises UserError where elements are of other cell lines than the one asked for.
    """
    asked, given = asked_for(text)
    if unknown := [name for name in given if name not in elements and name not in left_out]:
        raise UserError(f"--cell-line {text}: {where} has no element {unknown[0]!r}{suggest(unknown[0], elements)}")
    lines = {name: _lines_of(name, (called or {}).get(name, name), given, told) for name in elements}
    there = {line: None for name in elements for line in sorted(lines[name])}
    nobody_knows = not there
    line = _named(asked, [*there, *ELEMENTS]) if asked is not None else None
    if asked is None and not nobody_knows:
        usual = (
            [*dict.fromkeys(given.values()), DEFAULT_CELL_LINE]
            if len(set(given.values())) == 1
            else [DEFAULT_CELL_LINE]
        )
        shared = [one for one in there if all(one in of for of in lines.values())]
        line = next((one for one in (*usual, *shared) if one in there), None)
    if line is None or nobody_knows:
        return Matched("", tuple(elements), (_all_are_averaged(where, lines),))
    if matched := tuple(name for name in elements if line in lines[name]):
        unknown = [name for name in elements if not lines[name]]
        return Matched(line, matched, (_of_no_mean(where, unknown, line),) if unknown else ())
    if line not in ELEMENTS:
        raise UserError(f"unknown cell line {quoted(line)!r}{suggest(line, {*there, *ELEMENTS})}")
    has = listing(f"{name} ({' or '.join(sorted(of)) or 'nobody knows of which'})" for name, of in lines.items())
    raise UserError(
        f"{where}: holds no element of {quoted(line)}; it has {has}; give --cell-line with another, or"
        f" {elements[0]}={quoted(line)} if it is"
    )


def _lines_of(name: str, other: str, given: Mapping[str, str], told: Mapping[str, str]) -> set[str]:
    """The cell lines that an element was measured in: as a user says, else as its data do, else as is known."""
    if said := given.get(name) or told.get(name) or told.get(other):
        return {_named(said, ELEMENTS)}
    plain = name.partition("-")[0].partition(".")[0]  # of PKLR-24h, SORT1.2 and SORT1-flip
    return {line for line, names in ELEMENTS.items() if {name, other, plain} & {*names}}


def _named(line: str, known: Sequence[str] | Mapping[str, object]) -> str:
    """A cell line as it is written elsewhere."""
    return next((one for one in known if one.casefold() == line.casefold()), line)


def _of_no_mean(where: str, unknown: Sequence[str], line: str) -> Finding:
    return Finding(
        id="cell-line-unknown",
        severity="note",
        what=f"nobody knows the cell line of {listing(unknown)}: means are over elements of {line} alone",
        where=where,
        advice=f"--cell-line {unknown[0]}=NAME,… or cell_line in references.json says it",
    )


def _all_are_averaged(where: str, lines: Mapping[str, set[str]]) -> Finding:
    unknown = [name for name, of in lines.items() if not of]
    why = f"nobody knows the cell line of {listing(unknown)}" if unknown else "the elements are of several cell lines"
    return Finding(
        id="cell-line-unknown",
        severity="note",
        what=f"{why}: means are over all elements",
        where=where,
        advice=f"--cell-line {next(iter(lines))}=NAME,… or cell_line in references.json says it",
    )
