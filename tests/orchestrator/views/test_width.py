"""Everything that is printed fits 80 columns, piped or on a terminal, whatever names a user has given."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from in_process import run
from terminals import on_a_terminal, too_long

from nrtune.orchestrator.views.tables import fitted, print_table
from nrtune.trainables.core.registry import PLUGIN_VARIABLE
from nrtune.trainables.data.simulate import HDF5_NAME, simulate, write_simulated

FAMILY_NAME = "a_family_of_our_own_whose_name_is_as_long_as_names_get_in_some_laboratories"
FAMILY = """
from nrtune.search_spaces import Family, Float
FAMILY = Family(
    code="OURVERYOWNCODEOFTHEFAMILY", title="A family with a long title", published=(),
    fixed={"encoder": "factorized", "loss": "rank_stability", "head": "point", "sampler": "uniform"},
    space=(Float(name="lr", low=0.001, high=0.01, default=0.005),),
)
"""
OUT = "a-campaign-in-a-folder-whose-name-says-what-was-searched-on-which-data-and-when"
USE_CASES = """
a_use_case_with_a_name_that_says_all_that_there_is_to_say_about_it:
  title: A use case whose title does not fit into a line of eighty characters, however one may turn it
  metrics: {test/spearman: max}
"""
OBJECTIVES = ["val/spearman:max", "val/noise/corr:min", "cagi5/release/spearman/all/mean:max",
              "cagi5/release/pearson/all/mean:max"]  # fmt: skip
MANY = [f"cagi5/release/spearman/all/SIM{n}:max" for n in range(1, 5)] + [
    f"cagi5/release/pearson/all/SIM{n}:max" for n in range(1, 5)
]


@pytest.fixture(scope="module")
def place(shared_ray: str, tmp_path_factory: pytest.TempPathFactory):
    """A folder with a campaign of long names, and what its search showed on a terminal."""
    folder = tmp_path_factory.mktemp("width")
    (folder / "plugins" / "search_spaces").mkdir(parents=True)
    (folder / "plugins" / "search_spaces" / f"{FAMILY_NAME}.py").write_text(FAMILY)
    (folder / "mine.yaml").write_text(USE_CASES)
    write_simulated(simulate(200), folder / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(PLUGIN_VARIABLE, str(folder / "plugins"))
        search = ["search", "--families", f"baseline,{FAMILY_NAME}", "--trials", 2, "--epochs", 1, "--out", OUT]
        data = ["--data", f"data/{HDF5_NAME}", "--cagi5", "data/cagi5", "--max-concurrent", 1, "--scheduler", "none"]
        shown = on_a_terminal(*search, *data, "--address", shared_ray, cwd=folder)
        yield folder, shown.decode()


def questions(folder: Path) -> dict[str, list[object]]:
    """Every command that answers in text."""
    predictions = sorted((folder / OUT / "trials").glob("*/predictions_cagi5.parquet"))
    tests = sorted((folder / OUT / "trials").glob("*/predictions_test.parquet"))
    own = ["--use-cases", "mine.yaml"]
    scored = ["--cagi5", "data/cagi5", "--cell-line", "simulated", "--resamples", 100]
    return {
        "status": ["status", OUT],
        "trials": ["trials", OUT],
        "best": ["best", OUT],
        "best, own": ["best", OUT, *own],
        "best, one": ["best", OUT, *own, "--use-case", USE_CASES.split(":")[0].strip()],
        "best, low": ["best", OUT, "--use-case", "low_confidence"],
        "pareto": ["best", OUT, "--pareto", *OBJECTIVES],
        "pareto of many": ["best", OUT, "--pareto", *MANY],
        "ensemble": ["ensemble", OUT, "--top", 2],
        "score": ["score", predictions[0], *scored],
        "score, two": ["score", predictions[0], predictions[1], *scored],
        "score, tests": ["score", tests[0], tests[1], "--test", "--resamples", 100],
        "data check": ["data", "check", f"data/{HDF5_NAME}"],
        "data check, cagi5": ["data", "check", "data/cagi5"],
        "gc": ["gc", OUT, "--keep-top", 1],
        "report": ["report", OUT, "--out", "report"],
    }


def test_the_running_table_fits(place):
    _, shown = place
    assert "running: epoch" in shown
    assert too_long(shown) == []


def test_every_answer_fits_when_it_is_piped(place, monkeypatch, capsys):
    folder, _ = place
    monkeypatch.chdir(folder)
    monkeypatch.delenv("COLUMNS", raising=False)
    wrong = {}
    for name, words in questions(folder).items():
        if name == "report":  # MLflow warns of SQLAlchemy, which is an error here: it runs on the terminal below
            continue
        code, out, err = run(monkeypatch, capsys, *words)
        assert code == 0, err
        assert out.strip()
        if lines := too_long(out) + too_long(err):
            wrong[name] = lines
    assert wrong == {}


@pytest.mark.parametrize("name", ["trials", "best, own", pytest.param("report", marks=pytest.mark.slow)])
def test_an_answer_fits_a_terminal(place, name: str):
    folder, _ = place
    shown = on_a_terminal(*questions(folder)[name], cwd=folder).decode()
    assert shown.strip()
    assert too_long(shown) == []


HEADINGS, ROWS = ["trial", "family", "val", "test"], [["BASE-001/s1", "baseline", "0.866", "0.849"],
                                                      ["BASE-001/s2", "rank_stability", "0.864", "–"]]  # fmt: skip


def printed(monkeypatch, capsys, width: int, headings: list[str], rows: list[list[str]], texts: int) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(width))
    print_table(headings, rows, texts)
    lines: list[str] = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    return lines


def test_where_a_line_has_no_room_numbers_stand_below_the_names(monkeypatch, capsys):
    assert printed(monkeypatch, capsys, 35, HEADINGS, ROWS, 2) == [
        "trial        family",
        "    val   test",
        "BASE-001/s1  baseline",
        "  0.866  0.849",
        "BASE-001/s2  rank_stability",
        "  0.864      –",
    ]


def test_names_that_are_too_long_keep_beginning_and_end(monkeypatch, capsys):
    rows = [[f"the_learning_rate_of_our_own_{n}", "0.123"] for n in range(2)]
    lines = printed(monkeypatch, capsys, 20, ["trial", "val"], rows, 1)
    assert lines[2::2] == ["the_learni…our_own_0", "the_learni…our_own_1"]


def test_columns_without_room_are_named(monkeypatch, capsys):
    row = ["RS-001", "0.123456789", "0.123456789", "0.123456789", "2"]
    lines = printed(monkeypatch, capsys, 34, ["trial", "one", "two", "three", "four"], [row], 1)
    assert lines[3].split() == ["0.123456789", "0.123456789"]  # numbers are not cut
    assert " ".join(lines[4:]).startswith("No room for three, four:")


def test_an_encoding_without_the_signs_keeps_the_columns(monkeypatch, capsys):
    class Ascii(io.StringIO):
        shown_in = "ascii"

    out = Ascii()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("COLUMNS", "80")
    print_table(["trial", "Δ"], [["RS-001", "+0.1"], ["RS-002", "–"]], 1)
    assert out.getvalue().splitlines() == ["trial   Delta", "RS-001   +0.1", "RS-002      -"]


def test_a_table_with_room_is_whole(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    print_table(["trial", "one"], [["RS-001", "0.123"]], 1)
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [["trial", "one"], ["RS-001", "0.123"]]


def test_text_is_wrapped_between_words(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    assert fitted("short") == "short"
    assert fitted("  one two three four five") == "  one two three four\n    five"
    path = "/a/path/that/is/longer/than/a/line"
    assert fitted(f"checkpoint: {path}") == f"checkpoint:\n  {path}"
    assert fitted("a\n\nb") == "a\n\nb"
