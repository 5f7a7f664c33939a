"""Figures, on the published table and on tables small enough to see the answer."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from xml.etree import ElementTree

import matplotlib.colors
import numpy as np
import pandas as pd
import pytest
from matplotlib.axis import Axis
from matplotlib.collections import Collection, PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from nrtune.analysis.figures import Drawn, FigureData, draw, draw_all, figure_names, save
from nrtune.analysis.figures.style import LOOKS, look
from nrtune.analysis.selection.use_cases import UseCase
from nrtune.analysis.sources.published import read_published
from nrtune.analysis.store.table import LEADING, table_of
from nrtune.analysis.uncertainty.compared import BETTER, SAME, WORSE
from nrtune.analysis.uncertainty.verdict import Verdict
from nrtune.analysis.wording import label, short_names
from nrtune.trainables.core.errors import UserError

SPEARMAN = "cagi5/challenge/spearman/all/mean"
NO_INTERVALS = pd.DataFrame({"name": [], "metric": [], "low": [], "high": []})
ELEMENTS = ("HBB", "PKLR", "mean")
METRICS = [
    *(f"cagi5/challenge/{kind}/{s}/{e}" for kind in ("spearman", "pearson") for s in ("all", "hc", "lc") for e in ELEMENTS),
    *(f"cagi5/release/{kind}/{s}/mean" for kind in ("spearman", "pearson") for s in ("all", "hc", "lc")),
    *(f"{part}/{kind}" for part in ("test", "val") for kind in ("spearman", "pearson")),
    *("noise/corr", "noise/corr_calibrated", "noise/low_noise_spearman", "noise/high_noise_spearman", "val/noise/corr",
      "val/noise/corr_calibrated"),
    *("cagi5/challenge/hc_lc_gap", "cagi5/release/hc_lc_gap"),
]  # fmt: skip


def trial(number: int, family: str, **fields: object) -> dict[str, object]:
    """A finished trial whose metrics all rise with its number; what is given replaces them."""
    config = {
        "encoder": "dream_rnn",
        "head": "point",
        "loss": "mse",
        "sampler": "uniform",
        "lr": 0.001 * number,
        "loss.alpha": None,
    }
    leading = dict.fromkeys(LEADING) | {
        "name": f"T-{number:03d}",
        "family": family,
        "status": "finished",
        "seconds": 60.0,
    }
    ended = f"2026-01-01T00:{number:02d}:00+00:00"
    metrics = dict.fromkeys(METRICS, 0.2 + 0.03 * number)
    return {**leading, "ended": ended, **config, **metrics, **fields}


def data(*rows: dict[str, object], select_on: str = "release", **fields: object) -> FigureData:
    given = {"title": "mine", "intervals": NO_INTERVALS, "references": {}, **fields}
    return FigureData(trials=pd.DataFrame(list(rows)), select_on=select_on, **given)


NINE = (
    trial(1, "baseline"),
    trial(2, "rank_stability", loss="rank_stability"),
    trial(3, "noise_gated", loss="noise_gated", **{"loss.alpha": 0.1}),
    trial(4, "contrastive", loss="contrastive_anchor"),
    trial(5, "contrastive", loss="triplet_anchor"),
    trial(6, "hard_negative", sampler="hard_negative"),
    trial(7, "combination", loss="noise_gated", sampler="hard_negative"),
    trial(8, "distributional", loss="distributional"),
    trial(9, "of_my_own", status="scored"),
)
TWIN = {**NINE[2], "name": "NG1_gated", "same_as": "T-003"}
REPLICATE = {**NINE[1], "name": "T-002-s1", "replicate_of": "T-002"}
UNCERTAIN = pd.DataFrame(
    [(row["name"], metric, row[metric] - 0.05, row[metric] + 0.05) for row in NINE for metric in METRICS],
    columns=list(NO_INTERVALS),
)
LINES = {"constant": {"noise/corr": 0.117}, "spectrum_ridge": {"test/spearman": 0.4, SPEARMAN: 0.2, "noise/corr": 0.1}}
CURVES = {"T-001": [(1, 0.1), (2, 0.3), (3, 0.2)], "T-002": [(1, 0.1), (2, 0.2)], "failed before": [(1, 0.1)]}

TABLES = {
    "nine trials": data(*NINE, TWIN, REPLICATE, intervals=UNCERTAIN, references=LINES, curves=CURVES),
    "one trial": data(NINE[1]),
    "only the baseline": data(NINE[0]),
    "only failed trials": data(
        *({**row, **dict.fromkeys(METRICS), "status": "failed", "failure_class": "oom"} for row in NINE)
    ),
    "all NaN": data(*({**row, **dict.fromkeys(METRICS, float("nan"))} for row in NINE)),
    "without CAGI5": data(*({k: v for k, v in row.items() if not k.startswith("cagi5/")} for row in NINE)),
    "validation alone": data(
        *({k: v for k, v in r.items() if k.startswith("val/") or k not in METRICS} for r in NINE), select_on="val"
    ),
    "no trial": FigureData(
        trials=table_of([]), title="mine", select_on="release", intervals=NO_INTERVALS, references={}
    ),
}


@pytest.fixture(scope="module")
def published(real_data) -> list[Drawn]:
    """Every figure of the published table."""
    trials = table_of(read_published(real_data / "study" / "published_trials.csv"))
    return list(
        draw_all(FigureData(title="study", trials=trials, select_on="challenge", intervals=NO_INTERVALS, references={}))
    )


@pytest.fixture(scope="module")
def nine() -> list[Drawn]:
    """Every figure of the nine trials."""
    return list(draw_all(TABLES["nine trials"]))


def check(drawn: Drawn) -> None:
    """A column wide, in type that is read there; nothing is cut off, tick labels are apart, and there is a caption."""
    assert drawn.figure.get_figwidth() == pytest.approx(89 / 25.4)
    assert drawn.figure.get_figheight() <= 247 / 25.4
    canvas = drawn.figure.bbox
    for text in texts(drawn.figure):
        box = text.get_window_extent()
        assert box.x0 >= -1 and box.y0 >= -1, (drawn.name, text.get_text())  # noqa: PT018
        assert box.x1 <= canvas.x1 + 1 and box.y1 <= canvas.y1 + 1, (drawn.name, text.get_text())  # noqa: PT018
        assert text.get_fontsize() >= 6, (drawn.name, text.get_text())
    for ax in drawn.figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            for first, second in itertools.pairwise(tick_labels(axis)):
                apart = not first.get_window_extent().overlaps(second.get_window_extent())
                assert apart, (drawn.name, first.get_text(), second.get_text())
        for points in ax.collections:
            if isinstance(points, PathCollection):
                places = ax.transData.transform(np.ma.compress_rows(np.ma.masked_invalid(points.get_offsets())))
                assert ax.bbox.padded(1).count_contains(places) == len(places), (drawn.name, "a point is out of view")
    assert drawn.title
    assert drawn.caption.endswith(".")
    assert "nan" not in drawn.caption


def texts(figure: Figure) -> Iterator[Text]:
    """Every text that is drawn: Matplotlib keeps labels of ticks out of view, too."""
    ticks = {t for ax in figure.axes for axis in (ax.xaxis, ax.yaxis) for t in axis.get_ticklabels(which="both")}
    for ax in figure.axes:
        yield from (*tick_labels(ax.xaxis), *tick_labels(ax.yaxis))
    yield from (t for t in figure.findobj(Text) if t.get_visible() and t.get_text() and t not in ticks)


def tick_labels(axis: Axis) -> list[Text]:
    """The labels of an axis that are drawn."""
    low, high = sorted(axis.get_view_interval())
    labels = zip(axis.get_majorticklocs(), axis.get_ticklabels(), strict=False)
    return [label for place, label in labels if low <= place <= high and label.get_visible() and label.get_text()]


def test_figures_are_found_by_their_file_names():
    numbers = [name[:5] for name in figure_names()]
    assert numbers == [f"fig{number:02d}" for number in range(1, 19)]
    with pytest.raises(UserError, match="did you mean 'fig15_budget'"):
        draw("fig15_buget", TABLES["one trial"])


@pytest.mark.end_to_end
def test_every_figure_draws_from_the_published_table(published):
    assert [drawn.name for drawn in published] == [name for name in figure_names() if name != "fig18_curves"]
    for drawn in published:
        check(drawn)


@pytest.mark.end_to_end
@pytest.mark.parametrize("name", [name for name in figure_names() if name[:5] not in ("fig16", "fig17")])
def test_every_figure_draws_from_nine_trials(name, nine):
    check(next(drawn for drawn in nine if drawn.name == name))


@pytest.mark.end_to_end
@pytest.mark.parametrize("name", figure_names())
def test_thin_tables_give_a_figure_or_none(name):
    for title, table in TABLES.items():
        drawn = None if title == "nine trials" else draw(name, table)
        if drawn is not None:
            check(drawn)
            assert title not in ("no trial", "only failed trials", "all NaN")


def test_learning_curves_are_those_of_the_trials_that_are_drawn(nine):
    curves = next(drawn for drawn in nine if drawn.name == "fig18_curves")
    assert curves.caption == (
        "The validation Spearman of 2 trials after each epoch, with a point at the best. 1 of them had it at the last epoch, and"
        " may improve with more epochs."
    )
    lines = [line.get_xydata().tolist() for line in curves.figure.axes[0].lines]
    assert lines == [[[1, 0.1], [2, 0.3], [3, 0.2]], [[2, 0.3]], [[1, 0.1], [2, 0.2]], [[2, 0.2]]]


def test_what_only_cagi5_can_show_is_none_without_it():
    for name in ("fig02_test_vs_cagi5", "fig10_elements", "fig12_hc_lc_gap"):
        assert draw(name, TABLES["without CAGI5"]) is None
    ranking = draw("fig03_rank_stability", TABLES["without CAGI5"])
    assert "Of 1 trial T-002 has the highest test Spearman, " in ranking.caption


def test_elements_that_training_sequences_overlap_are_marked_and_counted():
    elements = ("F9", "GP1BB", "HBB", "HBG1", "LDLR", "PKLR", "SORT1")
    metrics = {f"cagi5/challenge/{kind}/all/{name}": 0.1 for kind in ("spearman", "pearson") for name in elements}
    rows = [trial(number, "rank_stability", **metrics) for number in (1, 2)]
    drawn = draw("fig10_elements", data(*rows, in_training={"LDLR": 2}))
    assert "† Training sequences overlap it, so many: LDLR 2." in drawn.caption
    said = [text.get_text() for text in texts(drawn.figure)]
    assert said.count("LDLR †") == 2
    assert said.count("PKLR") == 2
    check(drawn)
    assert "†" not in draw("fig10_elements", data(*rows)).caption


def test_both_files_are_written_and_the_svg_is_text_and_the_same_again(nine, tmp_path):
    drawn = next(drawn for drawn in nine if drawn.name == "fig03_rank_stability")
    png, svg = save(drawn, tmp_path / "new")
    assert (png.name, svg.name) == ("fig03_rank_stability.png", "fig03_rank_stability.svg")
    assert png.read_bytes().startswith(b"\x89PNG")
    assert ">T-002</text>" in svg.read_text()
    again = draw(drawn.name, TABLES["nine trials"])
    assert save(again, tmp_path / "again")[1].read_bytes() == svg.read_bytes()
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [png.name, svg.name]


def colours(figure: Figure) -> set[str]:
    """Every colour of marks that is not a grey."""
    found = []
    for mark in figure.findobj(lambda artist: isinstance(artist, Rectangle | Collection | Line2D)):
        if isinstance(mark, Collection):
            found += [*mark.get_facecolor(), *mark.get_edgecolor()]
        else:
            found += [mark.get_facecolor()] if isinstance(mark, Rectangle) else [mark.get_color()]
    hexes = {matplotlib.colors.to_hex(colour) for colour in found}
    return {colour for colour in hexes if len({colour[1:3], colour[3:5], colour[5:7]}) > 1}


@pytest.mark.end_to_end
def test_names_of_others_are_text_in_a_figure(tmp_path):
    hostile = {"name": "T\x1b$x^$\u202e", "family": "$\\frac{\x1b}$<script>"}
    rows = data(NINE[0], {**NINE[5], **hostile})
    for drawn in draw_all(rows):
        _, svg = save(drawn, tmp_path)
        shown = "".join(ElementTree.parse(svg).getroot().itertext())
        assert "\u202e" not in shown
        if drawn.name == "fig09_top":
            assert r"T\x1b$x^$\u202e" in shown


def test_a_family_has_one_colour_in_all_figures():
    rows = [trial(n, "rank_stability", loss="rank_stability", **{"loss.k": 0.1 * n}) for n in range(2, 12)]
    drawn = list(draw_all(data(trial(1, "baseline"), *rows, intervals=UNCERTAIN)))
    assert len(drawn) > 8
    for figure in (figure for figure in drawn if figure.name != "fig10_elements"):
        assert colours(figure.figure) == {look("rank_stability").colour.lower()}, figure.name


def test_no_two_families_look_alike():
    assert len({colour for colour, _ in LOOKS.values()}) == len({marker for _, marker in LOOKS.values()}) == len(LOOKS)
    assert look("of_my_own") == look("of_my_own")


def captions(drawn: list[Drawn]) -> dict[str, str]:
    return {figure.name[:5]: figure.caption for figure in drawn}


def test_captions_say_what_the_data_say(nine):
    """Metrics rise with a trial's number: CAGI5 Spearman is 0.2 + 0.03 n, that of the baseline, trial 1, 0.230."""
    said = captions(nine)
    assert "Of 1 trial T-002 has the highest CAGI5 Spearman, challenge, 0.260" in said["fig03"]
    assert "the baseline (T-001) has 0.230, a difference of +0.030" in said["fig03"]
    assert "T-003 = NG1 has the highest CAGI5 Spearman, challenge" in said["fig05"]
    assert "contrastive (1) 0.320 and triplet (1) 0.350" in said["fig06"]
    assert "The best 8 of 8 trials by CAGI5 Spearman, release" in said["fig09"]
    assert "Of 8 trials T-009 has the highest CAGI5 Spearman, challenge, 0.470" in said["fig09"]
    assert "1 of 1 combinations are above the best trial of each of their components" in said["fig13"]
    assert "T-007, 0.410" in said["fig13"]
    assert "10 trials took 10.0 minutes of training, 1.0 of it in trials without a score" in said["fig15"]


def test_the_summary_names_the_winners_of_the_use_cases():
    rows = (
        trial(1, "baseline"),
        trial(2, "rank_stability"),
        trial(3, "distributional", **{"noise/corr_calibrated": -0.5, "val/noise/corr_calibrated": -0.5}),
    )
    summary = draw("fig14_summary", data(*rows))
    assert "Not tested, and nothing recommended, for variant effects, the size of variant effects" in summary.caption
    assert "validation data and the CAGI5 release part, each from up to 2 trials" in summary.caption
    assert "−0.500 (baseline" in "".join(text.get_text() for text in texts(summary.figure))


def verdict(use_case: str, against: str) -> Verdict:
    return Verdict(
        use_case=use_case, winner="T-002", baseline="T-001", against_baseline=against, against_non_neural=SAME,
        non_neural=(),
        seeds={"winner": 3, "baseline": 3}, improvement=0.03, interval=(0.01, 0.05), p=0.01, p_adjusted=0.02,
        interval_across_elements=None, elements=None,
        significantly_worse=(), not_significantly_different=(), significantly_better=(),
        minimum_detectable_improvement=0.02, seeds_needed=3, recommendation="", recommended_trial=None,
    )  # fmt: skip


def test_the_summary_draws_the_users_use_cases_and_what_can_be_told():
    use_cases = {"rare": UseCase(title="Rare cells", metrics={"test/pearson": "max"})}
    rows = (trial(1, "baseline"), trial(2, "rank_stability"))
    summary = draw("fig14_summary", data(*rows, use_cases=use_cases, verdicts={"rare": verdict("rare", SAME)}))
    said = [text.get_text() for text in texts(summary.figure)]
    assert "For Rare cells: keep the baseline" in said
    assert any(text.startswith("T-002 0.260 (baseline 0.230, +13.0 %); not significantly") for text in said)
    assert not any("variant effects" in text for text in said)


def test_the_baseline_beats_all_where_it_does():
    rows = (trial(9, "baseline"), trial(2, "rank_stability"))
    assert "the baseline (T-009) has 0.470, a difference of −0.210" in draw("fig03_rank_stability", data(*rows)).caption
    summary = draw("fig14_summary", data(*rows, verdicts={"overall": verdict("overall", WORSE)}))
    assert "Keep the baseline for variant effects." in summary.caption
    assert any("For variant effects: keep the baseline" in text.get_text() for text in texts(summary.figure))


def test_a_winner_that_may_be_luck_is_not_recommended():
    rows = (trial(1, "baseline"), trial(2, "rank_stability"))
    verdicts = {"overall": verdict("overall", BETTER), "low_confidence": verdict("low_confidence", SAME)}
    caption = draw("fig14_summary", data(*rows, verdicts=verdicts)).caption
    assert "Use T-002 for variant effects" in caption
    assert "Keep the baseline for low-confidence variants." in caption
    assert "low-confidence" not in caption.partition(".")[0]
    assert "Not tested, and nothing recommended, for the size of variant effects" in caption


def test_trials_that_are_not_drawn_are_counted():
    failed = {**trial(4, "rank_stability"), **dict.fromkeys(METRICS), "status": "failed"}
    drawn = draw("fig03_rank_stability", data(NINE[0], NINE[1], failed))
    assert "Not drawn of 2 trials: 1 failed." in drawn.caption


def test_intervals_replicates_and_reference_lines_are_drawn():
    plain = draw("fig03_rank_stability", data(*NINE))
    full = draw("fig03_rank_stability", TABLES["nine trials"])
    assert "k-mer ridge" not in {text.get_text() for text in texts(plain.figure)}
    assert {"k-mer ridge", "constant"} <= {text.get_text() for text in texts(full.figure)}
    ranking = full.figure.axes[0]
    spans = [list(line.get_xdata()) for line in ranking.lines]
    value = NINE[1][SPEARMAN]
    assert any(np.allclose(span, [value - 0.05, value + 0.05]) for span in spans if len(span) == 2)
    assert [value] in spans  # the replicate, whose metrics are its original's


def test_importances_find_the_parameter_that_decides():
    """The objective is alpha; lr is shuffled: alpha is named first."""
    order = np.random.default_rng(0).permutation(40)
    rows = [
        trial(1 + int(shuffled), "noise_gated", loss="noise_gated", head="distributional", name=f"NG-{n:03d}",
              **{"loss.alpha": 0.02 * (n + 1), "cagi5/release/spearman/all/mean": 0.01 * n})
        for n, shuffled in enumerate(order)
    ]  # fmt: skip
    caption = draw("fig16_importances", data(NINE[0], *rows)).caption
    assert "loss.alpha in Noise gating" in caption
    assert "Too few trials (under 8) in Baseline (1)." in caption


def test_names_for_people():
    assert short_names(["DH7_distributional_dual", "RS-002", "RS1_a (changed)", "B1_x", "B1_y"]) == [
        "DH7",
        "RS-002",
        "RS1*",
        "B1_x",
        "B1_y",
    ]
    assert label(SPEARMAN) == "CAGI5 Spearman, challenge"
    assert label("cagi5/release/pearson/hc/mean") == "CAGI5 Pearson, HC, release"
    assert label("noise/corr") == "Noise correlation, test"
    assert label("val/spearman") == "Validation Spearman"
