"""What a terminal would obey is shown as text."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from nrtune.trainables.core.errors import UserError, listing, one_line, suggest
from nrtune.trainables.core.outside_text import LINES, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2Jgone\x07", r"\x1b[2Jgone\x07"),
        ("\x9b2J", r"\x9b2J"),
        ("abc\u202etxt.exe", r"abc\u202etxt.exe"),
        ("\u2066\u200b\ufeff\u2028", r"\u2066\u200b\ufeff\u2028"),
        ("\U000e0041", r"\U000e0041"),
        ("caf\udce9 \udc9b2J", "caf\udce9 \\x9b2J"),  # bytes of a file's name: é in Latin-1, and C1's CSI
        ("a\ud800b", r"a\ud800b"),
        ("\\x1b", "\\x1b"),
        ("Müller Δ 中 […]", "Müller Δ 中 […]"),
    ],
)
def test_what_is_obeyed_is_shown(text: str, shown: str):
    assert visible(text) == shown
    assert visible(shown) == shown


def test_no_character_that_is_obeyed_is_left_but_those_that_are_kept():
    every = "".join(map(chr, range(sys.maxunicode + 1)))
    left = {sign for sign in visible(every, LINES) if unicodedata.category(sign) in ("Cc", "Cf", "Zl", "Zp")}
    assert left == set(LINES)
    assert visible("a\n\tb\r\n", LINES) == "a\n\tb\\r\n"
    assert visible("a\nb") == r"a\nb"


def test_an_errors_sentence_has_none():
    assert str(UserError("no trial \x1b]0;title\x07 here")) == r"no trial \x1b]0;title\x07 here"
    assert one_line(ValueError("one\n\x1b[31mtwo")) == r"one \x1b[31mtwo"


@pytest.mark.parametrize("word", ["A" * 100_000, "…" * 300, "ACGT" * 64])
def test_what_is_longer_than_any_files_name_is_cut(word: str):
    said = str(UserError(f"/data/x.tsv: row 3 has {word!r}; mend it"))
    assert said == f"/data/x.tsv: row 3 has '{word[:59]}…'; mend it"


def test_a_sentence_names_no_more_than_one_reads():
    assert len(str(UserError(f"unknown x{suggest('x', [f'name of number {i:060}' for i in range(5000)])}"))) < 4000
    assert listing(["a\nb", "c\td\u2028"]) == "a b, c d "
    assert listing(["ab", "A" * 50, "c"], 2) == f"ab, {'A' * 40}… and 1 more"


def test_an_exception_that_says_nothing_is_named():
    class Unprintable(RuntimeError):
        def __str__(self) -> str:
            raise ValueError("on purpose")

    assert one_line(Unprintable()) == "a Unprintable that can't be printed"
