"""Predictions of any model, scored as nrtune scores its own."""

from __future__ import annotations

import dataclasses
import gzip
import io
import json
import re
import shutil
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from in_process import run
from satmut_files import from_cagi5
from scipy import stats

from nrtune.analysis.scoring.prediction_files import read_effects, read_test
from nrtune.analysis.scoring.score import score_test, score_variants
from nrtune.analysis.uncertainty.bootstrap import pearson_samples
from nrtune.analysis.uncertainty.intervals import Resampling
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.files import predictions_file
from nrtune.trainables.data.alleles import shift_words
from nrtune.trainables.data.benchmarks import VariantSet
from nrtune.trainables.data.benchmarks.cagi5 import HIGH_CONFIDENCE, read_cagi5
from nrtune.trainables.data.benchmarks.satmut import read_satmut
from nrtune.trainables.data.findings import refuse_errors
from nrtune.trainables.evaluation.predictions import variant_metrics
from nrtune.trainables.training.config import TrialConfig, preset
from nrtune.trainables.training.fit import fit

HOW = Resampling(resamples=200)
COLUMNS = ["element", "chrom", "pos", "ref", "alt", "variant_effect"]


@pytest.fixture
def variants(simulated_data) -> VariantSet:
    found = simulated_data.benchmark("cagi5")
    assert found is not None
    return found


@pytest.fixture
def dump(variants) -> pd.DataFrame:
    """Predictions of every variant, in another order than the folder's."""
    table = variants.table()
    noise = np.random.default_rng(1).normal(0, table["value"].std(), len(table))
    table["variant_effect"] = table["value"] + noise
    return table[COLUMNS].sample(frac=1, random_state=0).reset_index(drop=True)


def csv_of(table: pd.DataFrame, path: Path) -> Path:
    table.to_csv(path, index=False)
    return path


def values_of(scores) -> dict[str, float]:
    return dict(zip(scores.table["metric"], scores.table["value"], strict=True))


def test_correlations_are_scipys_on_the_joined_tables(real_data, tmp_path):
    tables = []
    for path in sorted((real_data / "cagi5").glob("*.tsv")):
        part, element = path.stem.split("_")
        lines = [line for line in path.read_text().splitlines() if not line.startswith("##")]
        table = pd.read_csv(io.StringIO("\n".join(lines)), sep="\t")
        table.columns = ["chrom", "pos", "ref", "alt", "value", "confidence"]
        tables.append(table.assign(part=part, element=element))
    truth = pd.concat(tables, ignore_index=True)
    generator = np.random.default_rng(0)
    effect = truth["value"] + generator.normal(0, 0.5, len(truth))
    truth["variant_effect"] = effect.where(generator.random(len(truth)) < 0.5, effect.round(1))  # some ties
    path = csv_of(truth[COLUMNS].sample(frac=1, random_state=0), tmp_path / "dump.csv")
    variants = read_cagi5(real_data / "cagi5")
    found = score_variants([read_effects(path, variants)], variants, Resampling(resamples=100, block=60))
    values, of_part = values_of(found), {}
    for (part, element), rows in truth.groupby(["part", "element"]):
        high = rows["confidence"] >= HIGH_CONFIDENCE
        for stratum, chosen in (("all", rows), ("hc", rows[high]), ("lc", rows[~high])):
            for kind, function in (("spearman", stats.spearmanr), ("pearson", stats.pearsonr)):
                expected = function(chosen["variant_effect"], chosen["value"]).statistic
                assert values[f"cagi5/{part}/{kind}/{stratum}/{element}"] == pytest.approx(expected, abs=1e-9)
                if element in ("GP1BB", "HBB", "HBG1", "PKLR"):
                    of_part.setdefault(f"cagi5/{part}/{kind}/{stratum}/mean", []).append(expected)
    assert len(of_part) == 12
    for name, four in of_part.items():
        assert len(four) == 4
        assert values[name] == pytest.approx(np.mean(four), abs=1e-9)
    means = found.table[found.table["metric"].str.endswith("/mean")]
    assert ((means["low"] < means["value"]) & (means["value"] < means["high"])).all()


def test_a_trials_stored_predictions_score_as_the_trial(simulated_data, variants, tmp_path):
    flat = {**preset("small", "dream_rnn"), "epochs": 1, "encoder.channels": 8, "encoder.lstm_units": 4}
    trial = fit(TrialConfig.from_flat(flat), simulated_data, folder=tmp_path)
    found = score_variants([read_effects(tmp_path / predictions_file("cagi5"), variants)], variants, HOW)
    values = values_of(found)
    assert len(values) > 50
    for name, value in values.items():
        assert value == pytest.approx(trial.metrics.get(name, np.nan), abs=1e-12, nan_ok=True), name
    assert {name for name in trial.metrics if name.startswith("cagi5/")} <= set(values)
    values = values_of(score_test([read_test(tmp_path / predictions_file("test"))], HOW))
    assert {"test/pearson", "test/spearman", "test/mse", "noise/corr", "noise/low_noise_spearman"} <= set(values)
    for name, value in values.items():
        assert value == pytest.approx(trial.metrics[name], abs=1e-12), name


@pytest.mark.parametrize("form", ["tsv", "csv.gz", "tsv.gz", "parquet", "bare", "upper", "number", "hash", "twice"])
def test_every_form_is_read_alike(form, dump, variants, tmp_path):
    path, table = tmp_path / f"dump.{form}", dump.assign(unused="x")
    if form == "parquet":
        table.assign(element=table["element"].astype("category")).to_parquet(path)
    elif form == "bare":
        csv_of(table.assign(chrom=table["chrom"].str.removeprefix("chr")), path)
    elif form == "upper":
        csv_of(table.assign(alt=table["alt"].str.lower()).rename(columns=str.upper), path)
    elif form == "number":
        csv_of(table.assign(pos=table["pos"].astype(float)).drop(columns="chrom"), path)
    elif form == "hash":
        path.write_text("## made by a model\n#" + table.to_csv(index=False, sep="\t"))
    elif form == "twice":
        csv_of(pd.concat([table, table]), path)
    else:
        table.to_csv(path, index=False, sep="\t" if "tsv" in form else ",")
    expected = read_effects(csv_of(dump, tmp_path / "plain.csv"), variants).effect
    assert np.array_equal(read_effects(path, variants).effect, expected)
    key = ["element", "pos", "ref", "alt"]
    assert np.array_equal(
        expected, dump.set_index(key)["variant_effect"].loc[list(map(tuple, variants.table()[key].to_numpy()))]
    )


BAD = {
    "nan": (
        lambda t: t.assign(variant_effect=t["variant_effect"].where(t.index != 3)),
        "variant_effect, row 4: nothing",
    ),
    "infinite": (lambda t: t.assign(variant_effect=np.inf), "row 1 (and"),
    "underscore": (
        lambda t: t.assign(variant_effect=t["variant_effect"].astype(str).where(t.index != 1, "1_0")),
        "row 2: '1_0' is not a finite number",
    ),
    "decimal comma": (lambda t: t.assign(variant_effect="1,5"), "'1,5' is not a finite number"),
    "truth": (lambda t: t.assign(variant_effect=True), "'True' is not a finite number"),
    "words": (lambda t: t.assign(variant_effect="high"), "'high' is not a finite number"),
    "no column": (lambda t: t.drop(columns=["alt", "pos"]), "lacks column pos, alt; give element, pos, ref, alt"),
    "two columns": (lambda t: t.assign(POS=1), "has column pos 2 times"),
    "no rows": (lambda t: t.iloc[:0], "holds no rows"),
    "element": (lambda t: t.assign(element="SIMM1"), "element 'SIMM1' is not in cagi5; did you mean 'SIM1'?"),
    "no element": (lambda t: t.assign(element=" "), "column element, row 1: is empty"),
    "unknown": (lambda t: t.assign(pos=t["pos"] + 10**6), "variants is in cagi5, first SIM"),
    "fraction": (lambda t: t.assign(pos=t["pos"] + 0.5), "is not a whole number"),
    "chrom": (lambda t: t.assign(chrom="chr99"), "not on chr99; mend the row"),
    "twice": (
        lambda t: pd.concat([t, t.iloc[:2].assign(variant_effect=9)]),
        "predicts 2 variants twice with different",
    ),
}


def test_variants_that_the_folder_lacks_are_left_out_and_counted(dump, variants, tmp_path):
    plain = read_effects(csv_of(dump, tmp_path / "plain.csv"), variants)
    other = dump.iloc[:3].assign(element="OTHER", chrom="chrX")
    deletion = dump.iloc[[0]].assign(alt="-")
    more = read_effects(csv_of(pd.concat([other, dump, deletion]), tmp_path / "more.csv"), variants)
    assert np.array_equal(more.effect, plain.effect)
    assert (plain.left_out, more.left_out) == (0, 4)
    assert more.first_left_out.startswith("OTHER ")


def test_a_variant_whose_ref_is_not_the_genomes_may_have_either(dump, variants, tmp_path):
    one = variants.table().iloc[0]
    mine = (dump[["element", "pos", "alt"]] == one[["element", "pos", "alt"]].to_numpy()).all(axis=1)
    genome = next(base for base in "ACGT" if base not in (one["ref"], one["alt"]))
    path = csv_of(dump.assign(ref=dump["ref"].where(~mine, genome)), tmp_path / "genome.csv")
    assert read_effects(path, variants).left_out == mine.sum() == 1
    mismatch = variants.ref_mismatch.copy()
    mismatch[0] = True
    found = read_effects(path, dataclasses.replace(variants, ref_mismatch=mismatch))
    assert found.left_out == 0
    assert np.array_equal(found.effect, read_effects(csv_of(dump, tmp_path / "plain.csv"), variants).effect)


OTHER_STRAND = str.maketrans("ACGT", "TGCA")
MISPLACED = {
    **{
        f"shifted by {by}": (lambda t, by=by: t.assign(pos=t["pos"] + by), shift_words(-by))
        for by in (1, -1, 2, -7, 13, -20, 20, 5000, -(10**6))
    },
    "other strand": (
        lambda t: t.assign(ref=t["ref"].str.translate(OTHER_STRAND), alt=t["alt"].str.translate(OTHER_STRAND)),
        "Ref and Alt are the other strand's",
    ),
    "swapped": (lambda t: t.assign(ref=t["alt"], alt=t["ref"]), "Ref and Alt are swapped"),
    "swapped and shifted": (
        lambda t: t.assign(ref=t["alt"], alt=t["ref"], pos=t["pos"] - 1),
        f"Ref and Alt are swapped, and {shift_words(1)}",
    ),
}


@pytest.mark.parametrize("name", MISPLACED)
@pytest.mark.parametrize("only", ["", "SIM2"])
def test_rows_that_match_only_once_they_are_mended_are_told_and_refused(name, only, dump, variants, tmp_path):
    """In all elements, or in one, among rows of other places."""
    change, words = MISPLACED[name]
    harmed = dump["element"] == only if only else np.ones(len(dump), bool)
    table = pd.concat([dump[~harmed], change(dump[harmed])]).sample(frac=1, random_state=0)
    path = csv_of(table, tmp_path / "harmed.csv")
    if only or name not in ("shifted by 5000", "shifted by -1000000", "other strand", "swapped"):
        findings = read_effects(path, variants).findings
        with pytest.raises(UserError, match="--accept rows-elsewhere"):
            refuse_errors(findings)
        refuse_errors(findings, ["rows-elsewhere"])
        assert [found.where for found in findings] == [
            f"harmed.csv, {element}" for element in ([only] if only else variants.elements)
        ]
        assert all(words in found.what for found in findings)
    else:  # and none matches as given
        with pytest.raises(UserError, match=f"is in cagi5, first .*{re.escape(words)}"):
            read_effects(path, variants)


def test_rows_of_few_or_other_places_are_no_shift(dump, variants, tmp_path):
    """Few rows that are as given; and rows of places that the folder lacks, all alleles of a stretch on either side."""
    few = read_effects(csv_of(dump.iloc[:4], tmp_path / "few.csv"), variants)
    assert [one.id for one in few.findings] == ["predictions-missing"]
    generator = np.random.default_rng(0)
    beyond = [
        {"element": name, "chrom": "chrS", "pos": pos, "ref": ref, "alt": alt, "variant_effect": 0.5}
        for name, of in dump.groupby("element")
        for start in (of["pos"].min() - 60, of["pos"].max() + 1)
        for pos in range(start, start + 60)
        for ref in generator.choice(list("ACGT"), 1)
        for alt in "ACGT"
        if alt != ref
    ]
    found = read_effects(csv_of(pd.concat([dump, pd.DataFrame(beyond)]), tmp_path / "more.csv"), variants)
    assert (found.findings, found.left_out) == ((), len(beyond))
    edge = dump.sort_values("pos").groupby("element").head(3)
    found = read_effects(csv_of(pd.concat([edge, pd.DataFrame(beyond)]), tmp_path / "edge.csv"), variants)
    of_parts = np.isin(variants.part, variants.part[found.there])
    assert [(one.id, one.count) for one in found.findings] == [("predictions-missing", of_parts.sum() - len(edge))]


def test_sequences_that_are_numbered_from_nought_are_told(tmp_path):
    chance = np.random.default_rng(0)
    ref = ["".join(chance.choice(list("ACGT"), 20)) for _ in range(30)]
    alt = [f"{sequence[:10]}{'ACGT'['CGTA'.index(sequence[10])]}{sequence[11:]}" for sequence in ref]
    variants = VariantSet.from_sequences(
        benchmark="table", title="Table", name="mine", length=30, ref=ref, alt=alt, value=chance.normal(size=30)
    )
    table = variants.table()[["element", "pos", "ref", "alt"]].assign(variant_effect=chance.normal(size=30))
    assert read_effects(csv_of(table, tmp_path / "good.csv"), variants).findings == ()
    some = read_effects(csv_of(table.iloc[5:9], tmp_path / "some.csv"), variants).findings
    assert [(one.id, one.count) for one in some] == [("predictions-missing", 26)]
    (found,) = read_effects(csv_of(table.assign(pos=table["pos"] - 1), tmp_path / "nought.csv"), variants).findings
    assert (found.id, found.severity, found.example) == ("rows-elsewhere", "error", "0")
    assert "1 too low" in found.what


def test_what_is_no_prediction_is_said(dump, variants, tmp_path):
    measured = dump.merge(variants.table()[["element", "pos", "ref", "alt", "value"]])
    for name, effect in (("constant", 0.5), ("are-measured", measured["value"])):
        path = csv_of(measured.assign(variant_effect=effect).drop(columns="value"), tmp_path / f"{name}.csv")
        (found,) = read_effects(path, variants).findings
        assert (found.id, found.severity, found.count) == (f"predictions-{name}", "warning", len(dump))
        table = pd.DataFrame({"activity": measured["value"], "prediction": effect})
        (found,) = read_test(csv_of(table, tmp_path / "test.csv")).findings
        assert found.id == f"predictions-{name}"


def test_effects_of_a_lost_or_another_sign_are_said(dump, variants, tmp_path):
    """Absolute values, ratios, Ref less Alt of all elements or one, and measured values among predicted ones."""
    value = dump.merge(variants.table()[["element", "pos", "ref", "alt", "value"]], how="left")["value"]
    dump, generator = dump.reset_index(drop=True), np.random.default_rng(1)
    good = dump.assign(variant_effect=value + generator.normal(0, value.std() / 2, len(dump)))
    effect, first = good["variant_effect"], good["element"] == variants.elements[0]
    assert read_effects(csv_of(good, tmp_path / "good.csv"), variants).findings == ()
    for name, harmed, words in (
        ("one-sign", effect.abs(), "all effects are positive"),
        ("one-sign", 2**effect, "all effects are positive"),
        ("one-sign", effect - 90, "all effects are negative"),
        ("fall", -effect, f"in {variants.elements[0]} (-0."),
        ("fall", effect.where(~first, -effect), f"in {variants.elements[0]} (-0."),
        ("are-measured", effect.where(good.index % 2 == 0, value), "measured values themselves"),
    ):
        findings = read_effects(csv_of(good.assign(variant_effect=harmed), tmp_path / "p.csv"), variants).findings
        (one,) = [one for one in findings if one.id == f"predictions-{name}"]
        assert (one.severity, words in one.what) == ("warning", True)  # which the table of scores shows


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("pos", 1e30, "is not a whole number"),
        ("pos", 2.0**63, "is not a whole number"),
        ("variant_effect", 1e200, "1e+200 is not a finite number"),
        ("variant_effect", "\u0661", "is not a finite number"),
        ("variant_effect", pd.Timestamp("2020-01-01"), "is not a finite number"),
        ("pos", [1], "is not a finite number"),
    ],
)
def test_what_is_no_number_is_refused_whatever_its_type(dump, variants, tmp_path, column, value, said):
    """Without a warning of an overflow, and without a traceback."""
    table = dump.astype({column: object})
    table[column] = pd.Series([value] * len(table), dtype=object)
    table.to_parquet(tmp_path / "p.parquet")
    with pytest.raises(UserError, match=re.escape(said)) as error:
        read_effects(tmp_path / "p.parquet", variants)
    assert f"column {column}, row 1" in str(error.value)


def test_score_audits_the_variants_and_takes_what_is_accepted(dump, simulated_folder, tmp_path, monkeypatch, capsys):
    folder = Path(shutil.copytree(simulated_folder / "cagi5", tmp_path / "cagi5"))
    file = folder / "challenge_SIM1.tsv"
    *lines, last = file.read_text().splitlines()
    cells = last.split("\t")
    file.write_text("\n".join([*lines, last, "\t".join([*cells[:4], "9.5", cells[5]])]))
    path = csv_of(dump, tmp_path / "dump.csv")
    arguments = ("score", path, "--cagi5", folder, "--resamples", 100)
    code, out, err = run(monkeypatch, capsys, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "a variant has two values or more" in err
    assert "--accept variant-twice" in err
    code, out, _ = run(monkeypatch, capsys, *arguments, "--accept", "variant-twice")
    assert code == 0
    assert out.startswith("Accepted, and the scores may mean something else:\nError: variant-twice: ")
    code, out, _ = run(monkeypatch, capsys, *arguments, "--accept", "variant-twice", "--json")
    found = json.loads(out)
    assert found["accepted"] == ["variant-twice"]
    assert {"id": "variant-twice", "severity": "error"}.items() <= found["findings"][0].items()
    code, _, err = run(monkeypatch, capsys, *arguments, "--accept", "variants-twice")
    assert (code, err.count("\n")) == (2, 1)
    assert "did you mean 'variant-twice'" in err


@pytest.mark.parametrize("name", BAD)
def test_bad_tables_are_one_sentence(name, dump, variants, tmp_path):
    change, message = BAD[name]
    path = csv_of(change(dump), tmp_path / "bad.csv")
    with pytest.raises(UserError) as error:
        read_effects(path, variants)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"", "is empty; give CSV"),
        (b"\n \n", "is empty; give CSV"),
        (b"\xff\xfe\x00\x01", "lacks column element"),
        (b"\x89PNG\x00\x01", "is no text; give CSV"),
        (b"PAR1 but not really", "is a damaged Parquet file"),
        (gzip.compress(b"element,pos" * 99, mtime=0)[:-9], "is a damaged .gz file"),
        (b"element,pos,ref,alt,variant_effect\nSIM1,1,A\n", "row 1 has 3 columns, its header 5"),
    ],
)
def test_bad_files_are_one_sentence(content, message, variants, tmp_path):
    path = tmp_path / "bad"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_effects(path, variants)
    with pytest.raises(UserError, match="is a folder"):
        read_effects(tmp_path, variants)


def test_only_what_is_there_is_scored(dump, variants, tmp_path):
    """Challenge without SIM2 and without some of SIM3: the mean is over SIM1 and SIM4, SIM3 is still scored."""
    part = variants.table().set_index(["element", "pos", "ref", "alt"])["part"]
    challenge = dump[
        (part.loc[list(dump[["element", "pos", "ref", "alt"]].itertuples(index=False))] == "challenge").array
    ]
    some = challenge[challenge["element"] == "SIM3"].index[:5]
    kept = challenge[challenge["element"] != "SIM2"].drop(some)
    found = score_variants([read_effects(csv_of(kept, tmp_path / "some.csv"), variants)], variants, HOW)
    everything = values_of(score_variants([read_effects(csv_of(dump, tmp_path / "all.csv"), variants)], variants, HOW))
    values = values_of(found)
    assert found.averaged == {"challenge": ("SIM1", "SIM4")}
    assert not any(name.startswith("cagi5/release") or name.endswith("SIM2") for name in values)
    name = "cagi5/challenge/spearman/all/"
    assert values[f"{name}SIM1"] == everything[f"{name}SIM1"]
    assert values[f"{name}mean"] == pytest.approx((everything[f"{name}SIM1"] + everything[f"{name}SIM4"]) / 2)
    assert values["cagi5/challenge/n/all/SIM3"] == everything["cagi5/challenge/n/all/SIM3"] - 5
    missing = found.coverage.set_index(["part", "element"])["missing"]
    assert missing["challenge", "SIM3"] == 5
    assert missing["challenge", "SIM1"] == 0
    assert missing["release", "SIM1"] > 0


def test_no_whole_matched_element_has_no_mean(dump, variants, tmp_path):
    path = csv_of(dump[dump["element"] == "SIM2"], tmp_path / "one.csv")
    one = dataclasses.replace(variants, matched=("SIM1",))
    found = score_variants([read_effects(path, one)], one, HOW)
    assert found.averaged == {"release": (), "challenge": ()}
    row = found.table.set_index("metric").loc["cagi5/challenge/spearman/all/mean"]
    assert row.isna().all()


def test_a_file_does_not_differ_from_itself(dump, variants, tmp_path):
    effects = read_effects(csv_of(dump, tmp_path / "dump.csv"), variants)
    table = score_variants([effects, effects], variants, HOW).table
    told = table[table["p"].notna()]
    assert len(told) > 20
    assert (told["difference"] == 0).all()
    assert (told["difference_low"] == 0).all()
    assert (told["p"] == 1).all()
    assert np.array_equal(table["value"], table["other"], equal_nan=True)
    assert np.array_equal(table["low"], table["other_low"], equal_nan=True)


def test_a_better_file_is_told_from_a_worse_on_shared_variants(dump, variants, tmp_path):
    better = dump.merge(variants.table()[["element", "pos", "ref", "alt", "value"]])
    better = better.assign(variant_effect=better["value"] + 0.05 * better["variant_effect"])
    first = read_effects(csv_of(better.drop(columns="value"), tmp_path / "a.csv"), variants)
    second = read_effects(csv_of(dump.iloc[20:], tmp_path / "b.csv"), variants)
    found = score_variants([first, second], variants, HOW)
    assert found.rows == len(dump) - 20
    row = found.table.set_index("metric").loc["cagi5/challenge/spearman/all/SIM1"]
    assert row["difference"] == pytest.approx(row["value"] - row["other"])
    assert 0 < row["difference_low"] < row["difference"] < row["difference_high"]
    assert row["p"] < 0.05
    apart = read_effects(csv_of(dump.iloc[:20], tmp_path / "c.csv"), variants)
    with pytest.raises(UserError, match="no variant in common"):
        score_variants([apart, second], variants, HOW)


def test_a_constant_has_no_correlation(dump, variants, tmp_path):
    effects = read_effects(csv_of(dump.assign(variant_effect=0), tmp_path / "zero.csv"), variants)
    table = score_variants([effects], variants, HOW).table
    mean = table["metric"].str.endswith("/mean")
    assert (table.loc[mean, ["value", "low", "high"]] == 0).all(axis=None)  # what is undefined counts as 0
    rest = ~mean & ~table["metric"].str.contains("/n/")
    assert table.loc[rest, ["value", "low", "high"]].isna().all(axis=None)


def measured(n: int = 300) -> pd.DataFrame:
    generator = np.random.default_rng(2)
    activity = generator.normal(0, 1, n)
    std = generator.random(n)
    return pd.DataFrame(
        {"prediction": activity + generator.normal(0, 1, n), "activity": activity, "aleatoric_std": std}
    )


def test_test_rows_with_and_without_noise(tmp_path):
    table = measured()
    with_noise = read_test(csv_of(table, tmp_path / "a.csv"))
    found = score_test([with_noise], HOW).table.set_index("metric")
    assert found.at["test/mse", "value"] == pytest.approx(((table["prediction"] - table["activity"]) ** 2).mean())
    assert found.at["test/pearson", "value"] == pytest.approx(stats.pearsonr(table["prediction"], table["activity"])[0])
    low = table[table["aleatoric_std"] <= table["aleatoric_std"].quantile(0.2)]
    expected = stats.spearmanr(low["prediction"], low["activity"])[0]
    assert found.at["noise/low_noise_spearman", "value"] == pytest.approx(expected)
    told = found.drop(index=["noise/corr_constant", "noise/gap"])
    assert ((told["low"] < told["value"]) & (told["value"] < told["high"])).all()
    error = ((table["prediction"] - table["activity"]) ** 2).sem()
    width = (found.at["test/mse", "high"] - found.at["test/mse", "low"]) / 2
    assert width == pytest.approx(2 * error, rel=0.35)
    bare = table.drop(columns="aleatoric_std").round(7)
    without = read_test(csv_of(bare.assign(prediction=bare["activity"]), tmp_path / "b.csv"))
    assert list(score_test([without], HOW).table["metric"]) == ["test/pearson", "test/spearman", "test/mse"]
    both = score_test([with_noise, without], HOW).table.set_index("metric")
    assert both.at["test/pearson", "difference_high"] < 0
    assert both.at["test/mse", "p"] < 0.01
    same = score_test([with_noise, with_noise], HOW).table
    assert (same["difference"] == 0).all()
    assert (same["p"].dropna() == 1).all()


def test_bad_test_tables_are_one_sentence(tmp_path):
    good = read_test(csv_of(measured(), tmp_path / "good.csv"))
    for change, message in (
        (lambda t: t.drop(columns="activity"), "lacks column activity; give prediction, activity"),
        (lambda t: t.iloc[:10], "holds 10 rows; a correlation needs 11"),
        (lambda t: t.assign(aleatoric_std=-1.0), "row 1: -1.0 is negative"),
        (lambda t: t.iloc[:-1], "holds 299 rows"),
        (lambda t: t.iloc[::-1], "column activity, row 1: is "),
        (lambda t: t.assign(aleatoric_std=0.5), "column aleatoric_std, row 1: is 0.5"),
    ):
        with pytest.raises(UserError, match=message):
            score_test([good, read_test(csv_of(change(measured()), tmp_path / "bad.csv"))], HOW)


def test_a_resample_without_rows_is_undefined_without_a_warning():
    value, block = np.arange(12.0), np.repeat([0, 1], 6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = pearson_samples(value[None], value, block, np.array([[0.0, 0, 1], [1, 0, 0]]))
    assert np.isnan(found[0, 0])
    assert found[0, 1] == 1


def test_the_command_prints_a_table_or_json(dump, simulated_folder, tmp_path, monkeypatch, capsys):
    path = csv_of(dump[dump["element"] != "SIM4"], tmp_path / f"{'long' * 40}.csv")
    command = ("score", path, "--cagi5", simulated_folder / "cagi5", "--resamples", 100)
    code, out, err = run(monkeypatch, capsys, *command)
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    assert "Mean over SIM1, SIM2 and SIM3: matched to simulated and wholly there." in out
    assert "Missing: challenge variants of SIM4" in out
    code, out, _ = run(monkeypatch, capsys, *command, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["mean_over"]["release"] == ["SIM1", "SIM2", "SIM3"]
    of_metric = found["metrics"]["cagi5/challenge/spearman/all/mean"]
    assert of_metric["low"] < of_metric["value"] < of_metric["high"]
    code, out, _ = run(monkeypatch, capsys, "score", path, path, *command[2:])
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    assert "challenge: compared" in out
    assert "mean Spearman" in out


def test_the_command_scores_test_tables(tmp_path, monkeypatch, capsys):
    path = csv_of(measured(), tmp_path / "test.csv")
    for paths in ((path,), (path, path)):
        code, out, err = run(monkeypatch, capsys, "score", *paths, "--test", "--resamples", 100)
        assert (code, err) == (0, "")
        assert "noise correlation" in out
        assert max(map(len, out.splitlines())) <= 80
    code, out, _ = run(monkeypatch, capsys, "score", path, "--test", "--json", "--resamples", 100)
    found = json.loads(out)
    assert found["rows"] == 300
    assert found["metrics"]["noise/gap"]["low"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--cagi5 is missing"),
        (("--test", "--cagi5", "."), "give one of them"),
        (("--test", "--cell-line", "K562"), "leave it out with --test"),
        (("--test", "--resamples", "5"), "5 resamples are too few"),
        (("--test",), "lacks column prediction, activity"),
        (("--cagi5", "nowhere"), "nowhere: no such folder"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_2(arguments, message, dump, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(monkeypatch, capsys, "score", csv_of(dump, tmp_path / "dump.csv"), *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("nrtune: ")
    assert err.count("\n") == 1
    assert message in err


def test_the_studys_own_table(simulated_folder, tmp_path, monkeypatch, capsys):
    """One part, deletions among its variants, HC and LC by its own significance; scored as a trial is."""
    folder = from_cagi5(simulated_folder / "cagi5", tmp_path / "satmut")
    variants = read_satmut(folder, cell_line="simulated")
    table = variants.table()
    table["variant_effect"] = table["value"] + np.random.default_rng(2).normal(0, table["value"].std(), len(table))
    path = csv_of(
        table[["element", "pos", "ref", "alt", "variant_effect"]].sample(frac=1, random_state=0), tmp_path / "a.csv"
    )
    scores = score_variants([read_effects(path, variants)], variants, HOW)
    assert values_of(scores) == pytest.approx(
        variant_metrics(variants, table["variant_effect"].to_numpy()), nan_ok=True
    )
    row = scores.table.set_index("metric").loc["satmut/spearman/all/mean"]
    assert row["low"] < row["value"] < row["high"]
    arguments = ("score", path, "--satmut", folder, "--cell-line", "simulated", "--resamples", 200)
    code, out, _ = run(monkeypatch, capsys, *arguments)
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    assert f"{row['value']:.3f}" in out
    code, out, _ = run(monkeypatch, capsys, *arguments, "--json")
    found = json.loads(out)
    assert (found["satmut"], found["mean_over"]) == (str(folder), {"satmut": ["SIM1", "SIM2", "SIM3", "SIM4"]})
    assert found["metrics"]["satmut/spearman/all/mean"]["value"] == pytest.approx(row["value"])


def test_one_target_at_a_time(tmp_path, monkeypatch, capsys):
    for flags, message in (
        (("--cagi5", "a", "--satmut", "b"), "--cagi5 and --satmut are two questions"),
        (("--test", "--satmut", "b"), "--test and --satmut are two questions"),
        (("--satmut", tmp_path / "nowhere"), "which nrtune data fetch satmut downloads"),
        ((), "--cagi5 is missing: give the folder of CAGI5 files, --satmut"),
    ):
        code, _, err = run(monkeypatch, capsys, "score", tmp_path / "a.csv", *flags)
        assert (code, err.count("\n")) == (2, 1)
        assert message in err


def test_rows_of_one_cluster_are_drawn_together(tmp_path):
    """Each sequence in both orientations, which are predicted and measured alike: half as much evidence as rows."""
    generator = np.random.default_rng(0)
    activity = generator.normal(size=200)
    table = pd.DataFrame({"activity": activity, "prediction": activity + generator.normal(size=200)})
    twice = pd.concat([table.assign(cluster=[f"element {n}" for n in range(200)])] * 2, ignore_index=True)
    widths = []
    for columns in (["activity", "prediction"], ["activity", "prediction", "cluster"]):
        path = tmp_path / f"{len(columns)}.tsv"
        twice[columns].to_csv(path, sep="\t", index=False)
        found = score_test([read_test(path)], HOW).table.set_index("metric").loc["test/spearman"]
        widths.append(found["high"] - found["low"])
    assert widths[1] / widths[0] == pytest.approx(2**0.5, rel=0.2)
