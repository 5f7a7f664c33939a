"""What all trials of a campaign have, and what a campaign that has begun keeps of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nrtune.analysis.store.records import MANIFEST
from nrtune.orchestrator.campaign.prepare import prepare
from nrtune.orchestrator.campaign.recipe import recipe_of
from nrtune.orchestrator.state.identity import check_identity
from nrtune.orchestrator.state.ledger import open_ledger
from nrtune.orchestrator.state.recipes import RECIPES
from nrtune.orchestrator.state.settings import Settings, StudySettings, load_settings
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.simulate import HDF5_NAME
from nrtune.trainables.training.config import TrialConfig

FIELD, STUDY = RECIPES["field"], RECIPES["study"]


def options_of(config: TrialConfig) -> dict[str, object]:
    return {name: getattr(config, name) for name in FIELD}


def test_recipes_say_the_same_of_the_same_parameters():
    assert FIELD.keys() == STUDY.keys()
    assert options_of(TrialConfig()) == STUDY


@pytest.fixture
def settings(simulated_folder: Path, tmp_path: Path) -> dict[str, object]:
    folder = simulated_folder
    return {"families": ("baseline",), "data": folder / HDF5_NAME, "cagi5": folder / "cagi5", "out": tmp_path / "out"}


def test_a_search_has_the_fields_recipe_and_a_study_its_own(settings):
    assert options_of(prepare(Settings(**settings)).typical) == FIELD
    assert options_of(prepare(Settings(**settings, recipe="study")).typical) == STUDY
    of_study = prepare(StudySettings(data=settings["data"], out=settings["out"], only=("B1",)))
    assert options_of(of_study.typical) == STUDY
    assert not FIELD.keys() & of_study.identity().keys()


def test_one_option_is_set_over_the_recipe(settings):
    plan = prepare(Settings(**settings, set={"both_strands": False, "ema": 0.9}))
    assert options_of(plan.typical) == {**FIELD, "both_strands": False}
    assert plan.typical.ema == 0.9


def test_what_the_data_do_not_allow_is_refused_before_anything_is_written(settings):
    with pytest.raises(UserError, match="max_shift 16 would cut off bases"):
        prepare(Settings(**settings, set={"max_shift": 16}))
    assert not Path(str(settings["out"])).exists()


def begun(plan) -> Path:
    """The folder of a campaign that has a manifest and no trial."""
    open_ledger(plan.folder, "c", plan.identity(), plan.about(), must_exist=False).close()
    return plan.folder


def without_recipes(folder: Path) -> None:
    """As a campaign's folder was before there were recipes."""
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["identity"] = {k: v for k, v in manifest["identity"].items() if k not in FIELD}
    manifest["settings"].pop("recipe", None)
    (folder / MANIFEST).write_text(json.dumps(manifest))


@pytest.mark.parametrize("resume", [True, False])
def test_a_campaign_goes_on_with_the_recipe_that_it_began_with(settings, resume):
    def again(**more):
        return prepare(load_settings(None, {**settings, "resume": resume, **more}, Settings))

    folder = begun(prepare(Settings(**settings, recipe="study")))
    manifest = json.loads((folder / MANIFEST).read_text())
    for before in (False, True):
        if before:
            without_recipes(folder)
        plan = again()
        assert options_of(plan.typical) == STUDY
        check_identity(folder, json.loads((folder / MANIFEST).read_text()), plan.identity())
        with pytest.raises(UserError, match="holds a campaign with reverse_complement false, not true"):
            check_identity(folder, manifest, again(recipe="field").identity())
    assert options_of(recipe_of(Settings(out=folder / "new")).config({}, 0)) == FIELD
