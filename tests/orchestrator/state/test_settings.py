"""Settings and the command line's mistakes: one sentence, exit code 2, nothing started and nothing written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from in_process import run

from nrtune.analysis.store.records import FORMAT, TrialRecord
from nrtune.orchestrator.campaign.checks import absolute_paths
from nrtune.orchestrator.campaign.plan import Plan
from nrtune.orchestrator.campaign.prepare import prepare
from nrtune.orchestrator.campaign.recipe import recipe_of
from nrtune.orchestrator.campaign.study import chosen_names
from nrtune.orchestrator.cli import campaigns, continued, option_texts
from nrtune.orchestrator.state.ledger import open_ledger
from nrtune.orchestrator.state.settings import (
    ReplicateSettings,
    RunSettings,
    Settings,
    StudySettings,
    load_replication,
    load_settings,
)
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.registry import PLUGIN_VARIABLE
from nrtune.trainables.data.sequences import to_text
from nrtune.trainables.training.config import PRESETS, TrialConfig, preset


@pytest.fixture
def good(simulated_folder: Path, tmp_path: Path) -> dict[str, object]:
    data = simulated_folder / "lentiMPRA_simulated_activity_and_aleatoric_data.h5"
    return {
        "families": "baseline",
        "data": data,
        "cagi5": simulated_folder / "cagi5",
        "out": tmp_path / "out",
        "trials": 1,
    }


def flags(options: dict[str, object]) -> list[object]:
    return [part for key, value in options.items() for part in (f"--{key}", value)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": "missing.h5"}, "missing.h5: no such file"),
        ({"data": "."}, "is a folder"),
        ({"cagi5": "nowhere"}, "nowhere: no such folder"),
        ({"cagi5": "."}, "holds no challenge_ELEMENT.tsv"),
        ({"families": "rank_stabilty"}, "unknown family 'rank_stabilty'; did you mean 'rank_stability'?"),
        ({"families": "baseline,baseline"}, "names one family twice"),
        ({"families": ","}, "--families is empty"),
        ({"encoders": "motif_cn"}, "unknown encoder 'motif_cn'; did you mean 'motif_cnn'?"),
        ({"encoders": "motif_cnn,motif_cnn"}, "--encoders names one encoder twice"),
        ({"encoders": "motif_cnn,dream_rnn"}, "--trials 1 is too few: the baseline is trained on each of 2 encoders"),
        ({"trials": 0}, "--trials: input should be greater than or equal to 1, not 0"),
        ({"epochs": -1}, "--epochs: input should be greater than or equal to 1"),
        ({"preset": "smal"}, "unknown preset 'smal'; did you mean 'small'?"),
        ({"precision": "half"}, "--precision: input should be 'auto', 'float32' or 'bf16', not 'half'"),
        ({"scheduler": "ash"}, "--scheduler: input should be 'asha', 'hyperband', 'median' or 'none', not 'ash'"),
        ({"sampler": "cma"}, "--sampler: input should be 'tpe', 'nsga2', 'random' or 'grid', not 'cma'"),
        ({"objective": "val/spearman"}, "--objective val/spearman: give METRIC:max or METRIC:min"),
        (
            {"objective": "val/sperman:max"},
            "--objective val/sperman:max: no trial on these data has this metric; did you mean 'val/spearman'?",
        ),
        (
            {"objective": "test/spearman:max"},
            "is reported, and never optimised unless --select-on is challenge; give val/spearman",
        ),
        ({"objective": "noise/corr:min", "select-on": "val"}, "is reported, and never optimised unless"),
        (
            {"objective": "cagi5/challenge/spearman/hc/mean:max"},
            "is reported, and never optimised unless --select-on is challenge; give cagi5/release/spearman/hc/mean",
        ),
        ({"objective": "cagi5/release/n/all/SIM1:max"}, "no trial on these data has this metric"),
        ({"objective": "val/noise/corr_constant:max"}, "no trial on these data has this metric"),
        ({"select-on": "test"}, "--select-on: input should be 'release', 'val' or 'challenge'"),
        ({"cell-line": "HeLa"}, "holds no element of HeLa; it has SIM1 (simulated)"),
        ({"noise": "orientation"}, "options of tables"),
        ({"tracking-uri": "./mlruns"}, "--tracking-uri ./mlruns: cannot be opened"),
        ({"address": "127.0.0.1:9"}, "--address 127.0.0.1:9: no Ray cluster answers"),
        ({"optuna-storage": "nodb://x"}, "--optuna-storage nodb://x: cannot be opened"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2(change, message, good, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(monkeypatch, capsys, "search", *flags(good | change))
    assert code == 2
    assert out == ""
    last = err.strip().splitlines()[-1]
    assert last.startswith("nrtune: ")
    assert message in last
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("leave_out", "message"), [("data", "--data is missing"), ("out", "--out is missing")])
def test_what_is_missing_is_said(leave_out, message, good, monkeypatch, capsys):
    del good[leave_out]
    code, _, err = run(monkeypatch, capsys, "search", *flags(good))
    assert code == 2
    assert message in err


def test_objectives_are_what_the_data_define(good, monkeypatch, capsys, tmp_path):
    def objectives(**change):
        return [
            str(objective)
            for objective in prepare(
                load_settings(None, good | {"families": ("baseline",)} | change, Settings)
            ).objectives
        ]

    release, noise = "cagi5/release/spearman/all/mean:max", "val/noise/corr:min"
    assert objectives() == [release]
    assert objectives(cagi5=None) == objectives(select_on="val") == ["val/spearman:max"]
    assert objectives(select_on="challenge") == ["cagi5/challenge/spearman/all/mean:max"]
    assert objectives(objective=(noise, release)) == [noise, release]
    assert objectives(objective=("noise/corr:min",), select_on="challenge") == ["noise/corr:min"]
    # A log-variance is what some heads predict.
    assert objectives(objective=("val/noise/variance_spearman:max",)) == ["val/noise/variance_spearman:max"]
    with pytest.raises(UserError, match="no trial on these data has this metric"):
        objectives(objective=(release,), cagi5=None)
    twice = [*flags(good), "--objective", noise, "--objective", "val/noise/corr:max"]
    code, _, err = run(monkeypatch, capsys, "search", *twice)
    assert code == 2
    assert "--objective val/noise/corr:max: val/noise/corr is named twice" in err
    code, out, _ = run(monkeypatch, capsys, "search", "--objective", noise, "--objective", release, "--print-settings")
    assert yaml.safe_load(out)["objective"] == [noise, release]
    (tmp_path / "s.yaml").write_text(f"objective: ['{noise}', '{release}']")
    code, out, _ = run(monkeypatch, capsys, "search", tmp_path / "s.yaml", "--print-settings")
    assert yaml.safe_load(out)["objective"] == [noise, release]


def test_a_search_of_before_was_asha_and_tpe(good):
    """A campaign whose manifest does not tell goes on with what it had, and is refused anything else."""
    search = prepare(
        load_settings(None, good | {"families": ("baseline",), "encoders": (), "starting_points": "all"}, Settings)
    )
    told = search.identity()
    untold = ("encoders", "scheduler", "sampler", "starting_points", "objective", "tracker", "grace_epochs")
    old = {key: value for key, value in told.items() if key not in (*untold, "reduction_factor")}
    open_ledger(search.folder, "out", old, search.about(), must_exist=False).close()
    open_ledger(search.folder, "out", told, {}, must_exist=True).close()
    for key, value in (
        ("scheduler", "none"),
        ("grace_epochs", 7),
        ("reduction_factor", 2.0),
        ("sampler", "grid"),
        ("starting_points", "first"),
        ("objective", ["val/spearman:max"]),
        ("encoders", ["motif_cnn"]),
    ):
        with pytest.raises(UserError, match=f"holds a campaign with {key} .* the same {key}"):
            open_ledger(search.folder, "out", told | {key: value}, {}, must_exist=True)


def test_a_search_of_before_goes_on_with_the_studys_encoders_and_its_epochs(good):
    """Whether it is resumed, or the same command is given again; what is asked for now is another campaign."""
    search = prepare(
        load_settings(None, good | {"families": ("baseline",), "encoders": "study", "epochs": 4}, Settings)
    )
    old = {key: value for key, value in search.identity().items() if key != "encoders"}
    about = search.about()
    for key in ("encoders", "epochs"):
        del about["settings"][key]
    open_ledger(search.folder, "out", old, about, must_exist=False).close()
    for how in ({"resume": True}, {}):
        again = prepare(load_settings(None, good | {"families": ("baseline",)} | how, Settings))
        assert (again.settings.encoders, again.epochs) == ((), 4)
        open_ledger(search.folder, "out", again.identity(), {}, must_exist=True).close()
    other = load_settings(None, good | {"families": ("baseline",), "encoders": ("motif_cnn",)}, Settings)
    with pytest.raises(UserError, match=r"holds a campaign with encoders \[\], not \[\"motif_cnn\"\]"):
        prepare(other)
    assert load_replication(search.folder, {}).epochs == 4


def test_a_search_goes_on_from_the_starting_points_that_it_began_with(good):
    """However many trials it has now, and whether a settings file says auto or nothing; what is asked for is refused."""
    few = prepare(load_settings(None, good | {"families": ("rank_stability",), "trials": 4}, Settings))
    assert few.identity()["starting_points"] == "all"
    assert len(few.searched["rank_stability"].starting_points()) == 3
    open_ledger(few.folder, "out", few.identity(), few.about(), must_exist=False).close()
    more = good | {"families": ("rank_stability",), "trials": 10}
    for how in ({"resume": True}, {"starting_points": "auto"}, {}):
        again = prepare(load_settings(None, more | how, Settings))
        assert len(again.searched["rank_stability"].starting_points()) == 3
        open_ledger(few.folder, "out", again.identity(), {}, must_exist=True).close()
    other = load_settings(None, more | {"starting_points": "first"}, Settings)
    with pytest.raises(UserError, match=r"""holds a campaign with starting_points "all", not "first";"""):
        prepare(other)
    assert prepare(load_settings(None, more | {"out": few.folder / "new"}, Settings)).settings.starts_from == "first"


def test_what_families_are_on_is_said(good):
    def notes(**change):
        return prepare(load_settings(None, good | {"families": ("baseline", "factorized")} | change, Settings)).notes()

    assert "families are on motif_cnn (--encoders); factorized keeps its own" in notes()
    assert "families are on motif_cnn and dream_rnn (--encoders)" in notes(
        families=("baseline",), encoders=("motif_cnn", "dream_rnn"), trials=2
    )
    assert not any("--encoders" in note for note in notes(encoders="study"))


def test_a_small_search_has_three_times_the_epochs_of_a_small_study(good):
    assert recipe_of(Settings()).epochs == 12
    assert recipe_of(StudySettings()).epochs == PRESETS["small"]["epochs"] == 4
    assert recipe_of(Settings(preset="study")).epochs == recipe_of(StudySettings(preset="study")).epochs == 80
    assert Settings(encoders="study").encoders == Settings(encoders=["study"]).encoders == ()


def test_a_search_says_how_large_its_grids_are(good):
    chosen = good | {
        "families": ("baseline", "rank_stability"),
        "sampler": "grid",
        "scheduler": "none",
        "confirm": "none",
    }
    search = prepare(load_settings(None, chosen | {"encoders": ("dream_rnn",)}, Settings))
    assert search.notes()[-1] == "configurations of the grid, 3 values a number: 162 of baseline, 486 of rank_stability"
    search = prepare(load_settings(None, chosen | {"encoders": ()}, Settings))
    assert (
        search.notes()[-1] == "configurations of the grid, 3 values a number: 162 of baseline, 1134 of rank_stability"
    )
    assert search.early_stopping is None


def test_data_without_noise_refuses_families_that_need_it(good, monkeypatch, capsys, tmp_path):
    import h5py

    with h5py.File(good["data"]) as old, h5py.File(tmp_path / "bare.h5", "w") as new:
        for group in old:
            new[f"{group}/X"], new[f"{group}/y"] = old[group]["X"][:], old[group]["y"][:, :1]
    change = {"data": tmp_path / "bare.h5", "families": "baseline,rank_stability", "cell-line": "simulated"}
    code, _, err = run(monkeypatch, capsys, "search", *flags(good | change))
    assert code == 2
    assert "no noise was measured, and loss rank_stability needs it; leave that out (family rank_stability)" in err
    assert not (tmp_path / "out").exists()


def test_selecting_on_variants_needs_variants(good, monkeypatch, capsys):
    del good["cagi5"]
    code, _, err = run(monkeypatch, capsys, "search", *flags(good | {"select-on": "release"}))
    assert code == 2
    assert "--select-on release needs 11 release variants or more" in err


def test_a_cagi5_folder_without_release_selects_on_validation(good, monkeypatch, capsys, tmp_path):
    challenge = tmp_path / "challenge"
    shutil.copytree(good["cagi5"], challenge)
    for path in challenge.glob("release_*"):
        path.unlink()
    chosen = load_settings(None, good | {"cagi5": challenge, "families": ("baseline",)}, Settings)
    assert prepare(chosen).select_on == "val"
    code, _, err = run(monkeypatch, capsys, "search", *flags(good | {"cagi5": challenge, "select-on": "release"}))
    assert code == 2
    assert "--select-on release needs 11 release variants" in err


FAMILY = """
from nrtune.search_spaces import Choice, Family
FAMILY = Family(code={code!r}, title="Mine", fixed={fixed!r}, space={space}, published=())
"""


@pytest.mark.parametrize(
    ("code", "fixed", "space", "message"),
    [
        ("BASE", {}, "()", "families baseline and mine both have the code 'BASE'"),
        ("MINE", {"loss.k": 1}, "()", "family mine: loss mse has no parameter 'k'"),
        ("MINE", {}, "(Choice(name='loss', values=('mse', 'mes'), default='mse'),)", "family mine: unknown loss 'mes'"),
    ],
)
def test_a_family_of_the_users_own_is_checked_first(code, fixed, space, message, good, monkeypatch, capsys, tmp_path):
    (tmp_path / "plugins" / "search_spaces").mkdir(parents=True)
    text = FAMILY.format(code=code, fixed=fixed, space=space)
    (tmp_path / "plugins" / "search_spaces" / "mine.py").write_text(text)
    monkeypatch.setenv(PLUGIN_VARIABLE, str(tmp_path / "plugins"))
    exit_code, _, err = run(monkeypatch, capsys, "search", *flags(good | {"families": "baseline,mine"}))
    assert exit_code == 2
    assert message in err
    assert not (tmp_path / "out").exists()


def test_resume_needs_a_campaign(good, monkeypatch, capsys, tmp_path):
    code, _, err = run(monkeypatch, capsys, "search", *flags(good), "--resume")
    assert code == 2
    assert "there is no campaign to resume" in err
    assert not (tmp_path / "out").exists()


def test_an_out_that_holds_something_else_is_left_alone(good, monkeypatch, capsys, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("x")
    code, _, err = run(monkeypatch, capsys, "search", *flags(good))
    assert code == 2
    assert "is not empty and holds no campaign (thesis.tex)" in err
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trails: 3\n", "unknown key 'trails'; did you mean 'trials'?"),
        ("trials: many\n", "s.yaml: trials: input should be a valid integer"),
        ("- a\n", "must map names to values"),
        ("trials: [\n", "is not YAML"),
        ("folds: {train: [1]}\n", "folds"),
        ("trials: 3\nseed: 1\ntrials: 4\n", "s.yaml: trials stands in lines 1 and 3; keep one"),
        ("set: {lr: 0.1,\n  lr: 0.2}\n", "s.yaml: lr stands in lines 1 and 2; keep one"),
        ("set: {lr: 0.1, lr: 0.2}\n", "s.yaml: lr stands in lines 1 and 1; keep one"),
    ],
)
def test_bad_settings_files(text, message, monkeypatch, capsys, tmp_path):
    (tmp_path / "s.yaml").write_text(text)
    code, _, err = run(monkeypatch, capsys, "search", tmp_path / "s.yaml")
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1


def test_a_settings_file_is_read_as_people_write_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "s.yaml"
    path.write_text(
        "\ufefffamilies: baseline, rank_stability\nuse_case: overall,pearson\nencoders: study\nkeep: all\n"
        "set: {lr: 1e-3, weight_decay: .5E-2}\ntime_budget: 1e1\n"
        "data: ~/data/a.h5\nout: ~/out\nbenchmark: {table: ~/variants.tsv}\n"
    )
    read = load_settings(path, {}, Settings)
    assert read.families == ("baseline", "rank_stability")
    assert (read.use_case, read.encoders, read.keep) == (("overall", "pearson"), (), ("all",))
    assert (read.set, read.time_budget) == ({"lr": 0.001, "weight_decay": 0.005}, 10.0)
    assert (read.data, read.out) == (tmp_path / "data" / "a.h5", tmp_path / "out")
    assert read.benchmark == {"table": tmp_path / "variants.tsv"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_settings_file_without_permission(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text("trials: 3\n")
    path.chmod(0)
    with pytest.raises(UserError, match="can't be read"):
        load_settings(path, {}, Settings)


def test_flags_override_the_file_and_print_settings_shows_the_result(monkeypatch, capsys, tmp_path):
    (tmp_path / "s.yaml").write_text("trials: 7\nseed: 3\nfamilies: [baseline]\n")
    code, out, _ = run(monkeypatch, capsys, "search", tmp_path / "s.yaml", "--trials", "9", "--print-settings")
    assert code == 0
    shown = yaml.safe_load(out)
    assert (shown["trials"], shown["seed"], shown["families"]) == (9, 3, ["baseline"])
    assert set(shown) == set(Settings.model_fields)
    (tmp_path / "again.yaml").write_text(out)
    assert load_settings(tmp_path / "again.yaml", {}, Settings) == load_settings(
        tmp_path / "s.yaml", {"trials": 9}, Settings
    )


@pytest.mark.parametrize(("command", "model"), [(campaigns.search, Settings), (campaigns.study, StudySettings)])
def test_every_setting_but_those_of_tables_is_a_flag(command, model):
    only_in_files = {"prices", "folds", "replicate_columns", "grace_epochs", "reduction_factor"}
    assert set(model.model_fields) - only_in_files == set(command.__annotations__) - {
        "settings",
        "print_settings",
        "return",
    }


def test_every_setting_of_a_replication_is_a_flag_or_the_campaigns():
    run_flags = {
        "max_concurrent",
        "cpus_per_trial",
        "gpus_per_trial",
        "kernels",
        "time_budget",
        "trial_time_limit",
        "tracking_uri",
        "address",
        "select_on",
        "accept",
        "data",
        "cagi5",
        "satmut",
        "benchmark",
    }
    of_its_own = set(ReplicateSettings.model_fields) - set(RunSettings.model_fields)
    assert of_its_own | run_flags == set(continued.replicate.__annotations__) - {"folder", "return"}


def test_a_replication_has_the_campaigns_settings_and_its_flags(tmp_path, monkeypatch, capsys):
    stored = Settings(data=tmp_path / "d.h5", cpus_per_trial=2, time_budget=5, trials=3).model_dump(mode="json")
    manifest = {"format": FORMAT, "identity": {"command": "search", "select_on": "val"}, "settings": stored}
    (tmp_path / "campaign.json").write_text(json.dumps(manifest))
    loaded = load_replication(tmp_path, {"seeds": 3, "max_concurrent": 4, "top": None})
    assert (loaded.data, loaded.cpus_per_trial, loaded.select_on) == (tmp_path / "d.h5", 2, "val")
    assert (loaded.out, loaded.seeds, loaded.top, loaded.max_concurrent) == (tmp_path, 3, 5, 4)
    assert loaded.time_budget is None  # the search's is spent
    code, _, err = run(monkeypatch, capsys, "replicate", tmp_path, "--seeds", 0)
    assert code == 2
    assert "--seeds: input should be greater than or equal to 1, not 0" in err


STUDY = {"families": None, "only": "B1"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"only": "RS3,RS33"}, "--only RS33: the study has no such configuration or family; did you mean 'RS3'?"),
        ({"only": "hard_negatives"}, "did you mean 'hard_negative'?"),
        ({"only": " , "}, "--only is empty; give names such as RS3, families or their codes, or leave it out for all"),
        ({"preset": "smal"}, "did you mean 'small'"),
        ({"data": "none.h5"}, "none.h5: no such file"),
    ],
)
def test_bad_input_to_the_study(change, message, good, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    chosen = {key: value for key, value in (good | STUDY | change).items() if key not in ("families", "trials")}
    code, out, err = run(monkeypatch, capsys, "study", *flags(chosen))
    assert (code, out) == (2, "")
    assert message in err.strip().splitlines()[-1]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"set": "loss"}, "--set loss: give NAME=VALUE"),
        ({"set": "loss=mes"}, "family baseline: unknown loss 'mes'; did you mean 'mse'?"),
        ({"set": "los=mse"}, "unknown trial parameter 'los'"),
        ({"set": "loss.k=[1]"}, "--set: loss.k should be a text, a number, true or false, not [1]"),
        (
            {"set": "encoder.gc_weight=3", "families": "factorized,baseline"},
            "encoder motif_cnn has no parameter 'gc_weight'",
        ),
        ({"set": "epochs=3"}, "--set epochs: belongs to the whole campaign; give --epochs"),
        ({"around": "NG1_noise_gated"}, "is for the family ablation; add it to --families"),
        ({"around": "NG1_noise", "families": "ablation"}, "did you mean 'NG1_noise_gated'?"),
        ({"around": "RS", "families": "ablation"}, "stands for 9 configurations; name one, such as RS1"),
        ({"around": "nowhere/RS-001", "families": "ablation"}, "is neither a published name nor DIR/TRIAL"),
    ],
)
def test_bad_changes_of_a_family(change, message, good, monkeypatch, capsys, tmp_path):
    code, _, err = run(monkeypatch, capsys, "search", *flags(good | {"families": "baseline"} | change))
    assert code == 2
    assert message in err.strip().splitlines()[-1]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("given", ["encoder=factorized", "encoder.dropout=0.3"])
def test_the_examples_of_set_work_with_the_default_families(given, good, monkeypatch, capsys, tmp_path):
    _, shown, _ = run(monkeypatch, capsys, "search", "--help")
    assert given in " ".join(shown.split())
    name, _, value = given.partition("=")
    parameters = option_texts.assignments([given])
    del good["families"]
    search = prepare(load_settings(None, good | {"set": parameters}, Settings))
    for family in search.searched.values():
        for values in family.representatives():
            assert str(family.flat(values)[name]) == value


def write_campaign(folder: Path, **fields: object) -> dict[str, object]:
    """A campaign's folder with one trial; returns the trial's configuration."""
    config = TrialConfig.from_flat({**preset("small"), "loss": "rank_stability", "loss.k": 3.0}).to_flat()
    given = {"family": "rank_stability", "number": 0, "status": "finished", "config": config, "metrics": {},
             "epochs_trained": 1, "seconds": 1.0, "started": "", "ended": "", "fingerprint": "f"}  # fmt: skip
    book = open_ledger(folder, "c", {"select_on": "val"}, {}, must_exist=False)
    book.append(TrialRecord.from_flat(**{**given, **fields}))
    book.close()
    return config


def around(good: dict[str, object], where: object, **more: object) -> Plan:
    given = good | {"families": ("ablation",), "around": str(where)} | more
    return prepare(load_settings(None, given, Settings))


def test_an_ablation_takes_every_name_of_its_centre(good, tmp_path):
    config = write_campaign(tmp_path / "st", name="ABL4_ng_a05", aliases={"NG8_ng_alpha05": "noise_gated"})
    for name in ("ABL4_ng_a05", "NG8_ng_alpha05", "ABL4", "NG8"):
        assert around(good, tmp_path / "st" / name).centre == config
    assert around(good, "RS3").centre == around(good, "RS3_bilstm_rs").centre
    assert around(good, "RS3").searched["ablation"].published[0].name == "RS3_bilstm_rs"


def test_a_search_around_a_trial_goes_on_from_another_folder_and_without_its_centre(good, monkeypatch, tmp_path):
    config = write_campaign(tmp_path / "st", name="RS-001")
    for folder in ("there", "elsewhere"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "there")
    begun = around(good, "../st/RS-001")
    assert begun.centre == config
    open_ledger(begun.folder, "out", begun.identity(), begun.about(), must_exist=False).close()
    monkeypatch.chdir(tmp_path / "elsewhere")
    resumed = load_settings(None, {"out": good["out"], "resume": True}, Settings)
    assert resumed.around == str(tmp_path / "st" / "RS-001")
    assert prepare(resumed).identity() == begun.identity()
    assert prepare(resumed).searched == begun.searched
    shutil.rmtree(tmp_path / "st")
    assert prepare(resumed).identity() == begun.identity()
    assert prepare(resumed).searched == begun.searched
    monkeypatch.chdir(tmp_path / "there")
    assert around(good, "../st/RS-001").identity() == begun.identity()  # the same command again
    with pytest.raises(UserError, match="is neither a published name nor DIR/TRIAL"):
        around(good, "../st/RS-002")


COPIED = """
import dataclasses
from nrtune.search_spaces import baseline
FAMILY = dataclasses.replace(baseline.FAMILY, code={code!r})
"""


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("MINE", "families baseline and mine both publish B1_baseline_mse; rename it in one"),
        ("BASE", "families baseline and mine both have the code 'BASE'; change one"),
    ],
)
def test_a_copied_family_does_not_take_over_a_name_of_the_study(code, message, good, monkeypatch, capsys, tmp_path):
    (tmp_path / "plugins" / "search_spaces").mkdir(parents=True)
    (tmp_path / "plugins" / "search_spaces" / "mine.py").write_text(COPIED.format(code=code))
    monkeypatch.setenv(PLUGIN_VARIABLE, str(tmp_path / "plugins"))
    chosen = {key: value for key, value in (good | STUDY).items() if key not in ("families", "trials")}
    exit_code, _, err = run(monkeypatch, capsys, "study", *flags(chosen))
    assert exit_code == 2
    assert message in err
    assert not (tmp_path / "out").exists()


def test_names_of_the_study():
    assert chosen_names(["RS3", "NG8_ng_alpha05"]) == {"RS3_bilstm_rs", "NG8_ng_alpha05"}
    assert len(chosen_names([])) == 76
    assert chosen_names(["BEST"]) == chosen_names(["combination"])
    assert len(chosen_names(["RS", "RS3", "hard_negative"])) == 15


@pytest.mark.parametrize("command", ["replicate", "status", "trials", "best", "report", "ensemble", "gc", "ui"])
def test_a_folder_without_a_campaign(command, monkeypatch, capsys, tmp_path):
    code, _, err = run(monkeypatch, capsys, command, tmp_path)
    assert code == 2
    assert "holds no campaign" in err


def test_an_unknown_use_case(monkeypatch, capsys, tmp_path):
    code, _, err = run(monkeypatch, capsys, "best", tmp_path, "--use-case", "overal")
    assert code == 2
    assert "did you mean 'overall'" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--pareto", "val/spearman"), "--pareto val/spearman: give METRIC:max or METRIC:min"),
        (("--pareto", "val/spearman:max", "val/spearman:max"), "val/spearman is named twice"),
        (("--pareto", "val/spearman:max"), "no finished trial has val/spearman"),
        (("--pareto", "--use-case", "overall"), "--pareto goes by objectives; leave --use-case"),
        (("--pareto", "--select-on", "val"), "--pareto goes by objectives; leave --use-case"),
        (("val/spearman:max",), "val/spearman:max: objectives are for --pareto"),
    ],
)
def test_bad_objectives_of_a_front(arguments, message, monkeypatch, capsys, tmp_path):
    write_campaign(tmp_path / "c", name="RS-001")
    code, out, err = run(monkeypatch, capsys, "best", tmp_path / "c", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.strip().splitlines()) == 1


def test_the_front_of_the_studys_own_table(real_data, monkeypatch, capsys):
    table = real_data / "study" / "published_trials.csv"
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = run(monkeypatch, capsys, "best", table, "--pareto", "test/spearman:max", "noise/corr:min")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[1:6]] == ["DH6", "NG3", "ABL2", "ABL7", "RS3"]
    assert max(map(len, out.splitlines())) <= 80
    assert "test/spearman and noise/corr: data to report on" in out
    assert "17 trials left out for want of a metric" in out


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["demo"],
        ["search"],
        ["study"],
        ["replicate"],
        ["status"],
        ["trials"],
        ["best"],
        ["report"],
        ["ensemble"],
        ["score"],
        ["import-published"],
        ["gc"],
        ["ui"],
        ["data"],
        ["data", "check"],
        ["data", "simulate"],
    ],
)
def test_help_is_there(command, monkeypatch, capsys):
    code, out, _ = run(monkeypatch, capsys, *command, "--help")
    assert code == 0
    assert "Usage: nrtune" in out
    assert max(map(len, out.splitlines())) <= 80


def test_help_needs_neither_torch_nor_ray():
    heavy = ("torch", "ray", "mlflow", "optuna", "pandas")
    code = (
        f"import sys; import nrtune.orchestrator.cli.main; print(json.dumps([m for m in {heavy} if m in sys.modules]))"
    )
    found = subprocess.run([sys.executable, "-c", f"import json; {code}"], capture_output=True, text=True, check=True)
    assert json.loads(found.stdout) == []


def test_data_check_and_simulate(monkeypatch, capsys, tmp_path):
    code, out, _ = run(monkeypatch, capsys, "data", "simulate", "--out", tmp_path / "s", "--n", "60")
    assert code == 0
    hdf5, cagi5 = out.split()
    code, out, _ = run(monkeypatch, capsys, "data", "check", hdf5)
    assert code == 0
    assert "60 sequences of 230 bases" in out
    code, out, _ = run(monkeypatch, capsys, "data", "check", cagi5)
    assert code == 0
    assert "matched to simulated: SIM1, SIM2, SIM3, SIM4" in out
    code, _, err = run(monkeypatch, capsys, "data", "simulate", "--out", tmp_path / "s")
    assert code == 2
    assert "exists already" in err


OF_TABLES = ["--columns", "seq=oligo,activity=log2FC,replicates=rep1+rep2,split=",
             "--split-by", "chrom", "--val-chroms", "chr8,chr9", "--test-chroms", "chr10"]  # fmt: skip


@pytest.mark.parametrize("command", ["search", "study"])
def test_how_a_table_is_read_is_a_setting(command, monkeypatch, capsys, tmp_path):
    model = {"search": Settings, "study": StudySettings}[command]
    code, out, _ = run(monkeypatch, capsys, command, "--data", "a.tsv,b.tsv,c.tsv", *OF_TABLES, "--print-settings")
    assert code == 0
    (tmp_path / "s.yaml").write_text(out)
    settings = load_settings(tmp_path / "s.yaml", {}, model)
    assert settings.data_files() == (Path("a.tsv"), Path("b.tsv"), Path("c.tsv"))
    columns = {"seq": "oligo", "activity": "log2FC", "replicates": "rep1+rep2", "split": ""}
    chroms = {"val": ("chr8", "chr9"), "test": ("chr10",)}
    assert settings.reading() == {"columns": columns, "folds": None, "chroms": chroms, "noise": "auto"}


def test_replicate_columns_are_the_replicates(tmp_path):
    (tmp_path / "s.yaml").write_text(
        "replicate_columns: [a, b]\ncolumns: {seq: oligo}\nfolds: {val: [1], test: [chr2]}\n"
    )
    reading = load_settings(tmp_path / "s.yaml", {}, Settings).reading()
    assert reading["columns"] == {"seq": "oligo", "replicates": ("a", "b")}
    assert reading["folds"] == {"val": (1,), "test": ("chr2",)}
    (tmp_path / "s.yaml").write_text("replicate_columns: [a, b]\ncolumns: {replicates: [b, c]}\n")
    with pytest.raises(UserError, match="both name columns; give one of them"):
        load_settings(tmp_path / "s.yaml", {}, Settings).reading()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--columns", "oligo"], "--columns oligo: give ROLE=NAME,ROLE=NAME"),
        (["--columns", "seq=a,seq=b"], "--columns seq=a,seq=b: names seq twice"),
        (["--columns", "sequence=a"], "--columns: input should be 'seq', 'activity'"),
        (["--split-by", "fold"], "--split-by: input should be 'chrom'"),
        (["--val-chroms", "chr8"], "--val-chroms chr8: says nothing without --split-by chrom; give both"),
        (["--split-by", "chrom"], "--split-by chrom needs --val-chroms and --test-chroms"),
        (["--columns", "activity=lfc"], "has no column 'lfc' for activity; it has seq, mean_value, chrom"),
    ],
)
def test_wrong_options_of_tables_are_one_sentence(options, message, monkeypatch, capsys, tmp_path):
    (tmp_path / "a.tsv").write_text("seq\tmean_value\tchrom\n" + "ACGT\t1\tchr1\nACGA\t2\tchr2\n" * 5)
    for command in (
        ["search", "--data", tmp_path / "a.tsv", "--out", tmp_path / "out"],
        ["data", "check", tmp_path / "a.tsv"],
    ):
        code, _, err = run(monkeypatch, capsys, *command, *options)
        assert code == 2
        assert message in err.strip().splitlines()[-1]


def test_data_check_reads_tables_as_a_search_does(monkeypatch, capsys, tmp_path):
    names = [tmp_path / f"{split}.tsv" for split in ("train", "val", "test")]
    for number, name in enumerate(names):
        tokens = np.random.default_rng(number).integers(0, 4, (4, 60)).astype(np.uint8)
        rows = [f"{to_text(sequence)}\t{row / 7}" for row, sequence in enumerate(tokens)]
        name.write_text("\n".join(["oligo\tlfc", *rows]))
    columns = ["--columns", "seq=oligo,activity=lfc"]
    code, out, _ = run(monkeypatch, capsys, "data", "check", ",".join(map(str, names)), *columns)
    assert code == 0
    assert "train.tsv,val.tsv,test.tsv: 12 sequences of 60 bases" in out


def test_paths_are_kept_whole_whether_one_or_three(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kept = {"data": ["a.tsv", "b.tsv", "c.tsv"]}
    for data in ("a.tsv,b.tsv,c.tsv", ["a.tsv", "b.tsv", "c.tsv"]):
        stored = absolute_paths(Settings(data=data).model_dump(mode="json", exclude_none=True))
        assert stored["data"] == [str(tmp_path / name) for name in kept["data"]]
        assert Settings(**stored).data_files() == tuple(tmp_path / name for name in kept["data"])
    (tmp_path / "a,b,c.tsv").write_text("")
    for data in ("a,b,c.tsv", "a.tsv"):
        stored = absolute_paths(Settings(data=data).model_dump(mode="json", exclude_none=True))
        assert stored["data"] == str(tmp_path / data)
        assert Settings(**stored).data == tmp_path / data


def test_real_data_are_checked(real_data, monkeypatch, capsys):
    code, out, _ = run(monkeypatch, capsys, "data", "check", real_data / "cagi5")
    assert code == 0
    assert "Ref is not the reference's base; the variants are kept (3 of 633)" in " ".join(out.split())
    assert "GP1BB challenge 869 143" in " ".join(out.split())


def test_wrong_values_are_user_errors():
    with pytest.raises(UserError, match="no such file; give a settings file"):
        load_settings(Path("none.yaml"), {}, Settings)
