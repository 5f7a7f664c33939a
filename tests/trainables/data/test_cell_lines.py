"""Over which elements means are: those of a cell line, named by the data, the user or nobody."""

from __future__ import annotations

import json
from itertools import chain

import pytest

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.benchmarks.cagi5 import read_cagi5
from nrtune.trainables.data.cell_lines import ELEMENTS, asked_for, asked_or_usual, match_elements


def matched(elements, text=None, told=None):
    return match_elements("here", elements, text, told or {})


@pytest.mark.parametrize(
    ("elements", "text", "told", "line", "over"),
    [
        (("F9", "HBB", "MINE"), None, {}, "K562", ("HBB",)),
        (("F9", "LDLR"), None, {}, "HepG2", ("F9", "LDLR")),  # the one that all are of
        (("F9", "HNF4A"), None, {}, "", ("F9", "HNF4A")),
        (("HNF4A",), "HEK293T", {}, "HEK293T", ("HNF4A",)),
        (("HNF4A",), "hek293t", {}, "HEK293T", ("HNF4A",)),
        (("ONE", "TWO"), None, {}, "", ("ONE", "TWO")),  # nobody knows
        (("ONE", "TWO"), "K562", {}, "", ("ONE", "TWO")),
        (("ONE", "TWO"), None, {"ONE": "THP-1", "TWO": "THP-1"}, "THP-1", ("ONE", "TWO")),
        (("ONE", "TWO"), "THP-1", {"ONE": "THP-1"}, "THP-1", ("ONE",)),
        (("ONE", "TWO"), None, {"ONE": "K562", "TWO": "HepG2"}, "K562", ("ONE",)),
        (("ONE", "TWO"), "ONE=THP-1", {}, "THP-1", ("ONE",)),
        (("ONE", "TWO"), "THP-1,ONE=THP-1,TWO=HepG2", {}, "THP-1", ("ONE",)),
        (
            ("HBB", "TWO"),
            "K562,TWO=K562",
            {"TWO": "HepG2"},
            "K562",
            ("HBB", "TWO"),
        ),  # a user knows better than the data
    ],
)
def test_means_are_over_the_elements_of_a_cell_line(elements, text, told, line, over):
    found = matched(elements, text, told)
    assert (found.cell_line, found.elements) == (line, over)
    said = asked_for(text)[1] | (told or {})
    unknown = {name for name in elements if name not in said and name not in {*chain(*ELEMENTS.values())}}
    assert [one.id for one in found.findings] == (["cell-line-unknown"] if unknown or not line else [])


@pytest.mark.parametrize(
    ("elements", "text", "message"),
    [
        (("F9", "MINE"), "K562", r"holds no element of K562; it has F9 \(HepG2\), MINE \(nobody knows of which\)"),
        (("HBB",), "HepG3", "unknown cell line 'HepG3'; did you mean 'HepG2'"),
        (("HBB",), "HBC=K562", "here has no element 'HBC'; did you mean 'HBB'"),
        (("HBB",), "K562,HepG2", "names two whose elements are averaged"),
        (("HBB",), "HBB=K562,HBB=HepG2", "HBB is given two cell lines"),
        (("HBB",), "HBB=", "give NAME, or ELEMENT=NAME"),
        (("HBB",), "", "give NAME, or ELEMENT=NAME"),
    ],
)  # fmt: skip
def test_what_can_not_be_matched_is_one_sentence(elements, text, message):
    with pytest.raises(UserError, match=message):
        matched(elements, text)


def test_a_file_names_the_cell_line_where_the_user_does_not():
    assert asked_or_usual(None, "HepG2") == "HepG2"
    assert asked_or_usual("K562", "HepG2") == "K562"
    assert asked_for(asked_or_usual("A=K562, B=HepG2", "HepG2")) == ("HepG2", {"A": "K562", "B": "HepG2"})


def test_references_may_name_cell_lines(simulated_folder, tmp_path):
    """A folder of elements that nobody has heard of, with and without."""
    folder, references = tmp_path / "own", json.loads((simulated_folder / "cagi5" / "references.json").read_text())
    folder.mkdir()
    for number, name in enumerate(references):
        for part in ("release", "challenge"):
            text = (simulated_folder / "cagi5" / f"{part}_{name}.tsv").read_text()
            (folder / f"{part}_E{number}.tsv").write_text(text)
    own = {f"E{number}": of for number, of in enumerate(references.values())}
    (folder / "references.json").write_text(json.dumps(own))
    variants = read_cagi5(folder)
    assert (variants.cell_line, variants.matched) == ("", ("E0", "E1", "E2", "E3"))
    assert [found.id for found in variants.findings] == ["cell-line-unknown"]
    own = {name: {**of, "cell_line": "THP-1" if name < "E2" else "HeLa"} for name, of in own.items()}
    (folder / "references.json").write_text(json.dumps(own))
    assert read_cagi5(folder, cell_line="HeLa").matched == ("E2", "E3")
    assert read_cagi5(folder, cell_line="HeLa,E0=HeLa").matched == ("E0", "E2", "E3")
    assert read_cagi5(folder, cell_line="HeLa").findings == ()
    del own["E1"]["cell_line"]
    (folder / "references.json").write_text(json.dumps(own))
    variants = read_cagi5(folder, cell_line="HeLa")
    (found,) = variants.findings
    assert (variants.matched, found.id) == (("E2", "E3"), "cell-line-unknown")
    assert "nobody knows the cell line of E1: means are over elements of HeLa alone" in found.what


def test_a_data_set_of_a_known_element_is_of_its_cell_line():
    assert matched(("PKLR-24h", "SORT1.2"), None).elements == ("PKLR-24h",)
