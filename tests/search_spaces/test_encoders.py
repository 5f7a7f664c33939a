"""Families on the encoders that a search is asked for."""

from __future__ import annotations

import dataclasses

import pytest

from nrtune.orchestrator.campaign.families import family_of
from nrtune.orchestrator.campaign.recipe import recipe_of
from nrtune.orchestrator.search.encoders import encoder_space
from nrtune.orchestrator.search.family_study import optuna_names
from nrtune.orchestrator.state.settings import Settings
from nrtune.search_spaces import FAMILIES, SWITCH, Choice, EncoderSpace, Float, encoders_of, keeps_encoder, on_encoders
from nrtune.search_spaces._common import LR
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.registry import PLUGIN_VARIABLE
from nrtune.trainables.encoders import ENCODERS
from nrtune.trainables.training.config import TrialConfig, preset

WIDE = EncoderSpace(
    name="wide",
    parameters=(Choice(name="encoder.width", values=(4, 8), default=8),),
    lr=Float(name="lr", low=0.003, high=0.02, default=0.01, log=True),
)
STUDY, OTHER = (EncoderSpace(name=name) for name in ("dream_rnn", "factorized"))
FREE = [name for name in FAMILIES if not keeps_encoder(FAMILIES.get(name))]


def points(family) -> dict[str, dict[str, object]]:
    return dict(family.starting_points())


def test_only_the_factorized_family_is_about_its_encoder():
    assert set(FAMILIES) - set(FREE) == {"factorized"}


def test_one_encoder_replaces_the_studys():
    family = on_encoders(FAMILIES.get("rank_stability"), [WIDE])
    assert family.fixed["encoder"] == "wide"
    assert [p.name for p in family.space] == ["loss.k", "lr", "weight_decay", "encoder.width"]
    assert {name: values["loss.k"] for name, values in points(family).items()} == {
        "RS1_bilstm_rs (on wide)": 1.0,
        "RS7_bilstm_rs_k2 (on wide)": 2.0,
        "RS8_bilstm_rs_k05 (on wide)": 0.5,
    }
    assert all(values["lr"] == 0.01 and values["encoder.width"] == 8 for values in points(family).values())


def test_the_studys_encoders_give_its_starting_points():
    usual = FAMILIES.get("rank_stability")
    assert points(on_encoders(usual, [STUDY, OTHER])) == points(usual)


def test_each_encoder_has_a_starting_point_and_each_published_value_one_encoder():
    second = dataclasses.replace(WIDE, name="second")
    assert {
        name: of["encoder"] for name, of in points(on_encoders(FAMILIES.get("baseline"), [WIDE, second])).items()
    } == {
        "B1_baseline_mse (on wide)": "wide",
        "B1_baseline_mse (on second)": "second",
    }
    ranked = points(on_encoders(FAMILIES.get("rank_stability"), [WIDE, second]))
    assert [(of["encoder"], of["loss.k"]) for of in ranked.values()] == [("wide", 1.0), ("second", 2.0), ("wide", 0.5)]
    both = points(on_encoders(FAMILIES.get("baseline"), [WIDE, STUDY]))
    assert {name: of["encoder"] for name, of in both.items()} == {
        "B1_baseline_mse": "dream_rnn",
        "B1_baseline_mse (on wide)": "wide",
    }


def test_each_encoder_has_its_learning_rates():
    family = on_encoders(FAMILIES.get("noise_gated"), [WIDE, STUDY, OTHER])
    rates = [p for p in family.space if p.name == "lr"]
    assert [(p.low, p.default, p.when) for p in rates] == [
        (0.003, 0.01, {"encoder": ("wide",)}),
        (LR.low, LR.default, {"encoder": ("dream_rnn", "factorized")}),
    ]
    assert optuna_names(rates) == ["lr (wide)", "lr (dream_rnn factorized)"]


def test_a_family_keeps_a_learning_rate_or_a_dropout_of_its_own():
    own = (
        Float(name="lr", low=1e-5, high=1e-4, default=5e-5, log=True),
        Float(name="encoder.width", low=1, high=2, default=1),
    )
    family = dataclasses.replace(FAMILIES.get("baseline"), space=own)
    assert on_encoders(family, [WIDE]).space == own


@pytest.mark.parametrize("size", ["small", "study"])
@pytest.mark.parametrize("name", ENCODERS)
def test_what_is_searched_of_an_encoder_holds_what_its_presets_have(name, size):
    """An encoder whose ranges lack a preset's size, or can't be built, raises."""
    space = encoder_space(name, size)
    assert (space.lr is None) == (name in ("dream_rnn", "factorized"))
    for parameter in space.parameters:
        assert parameter.can_be(preset(size, name).get(parameter.name, parameter.default))


@pytest.mark.parametrize("encoders", [("motif_cnn",), ("motif_cnn", "dream_rnn", "factorized")])
@pytest.mark.parametrize("name", FAMILIES)
def test_every_choice_of_a_family_on_encoders_builds(name, encoders):
    family = family_of(Settings(encoders=encoders), None, name)
    if name not in ("factorized", "ablation"):
        assert set(encoders_of(family)) == set(encoders)
    assert len(set(zip(optuna_names(family.space), map(str, family.space), strict=True))) == len(family.space)
    for values in family.representatives():
        flat = family.flat(values)
        config = TrialConfig.from_flat({**preset("small", flat["encoder"]), **flat})
        assert all(config.to_flat()[key] == value for key, value in values.items() if not key.startswith(SWITCH))


@pytest.mark.parametrize(("encoders", "expected"), [
    (("motif_cnn",), ["RS1_bilstm_rs (on motif_cnn)"]),
    (("motif_cnn", "legnet"), ["RS1_bilstm_rs (on motif_cnn)", "RS7_bilstm_rs_k2 (on legnet)"]),
    ((), ["RS1_bilstm_rs", "RS4_factorized_rs"]),
])  # fmt: skip
def test_families_that_share_trials_begin_with_one_published_configuration_an_encoder(encoders, expected):
    shared, even = (Settings(encoders=encoders, allocation=how) for how in ("adaptive", "even"))
    assert list(points(family_of(shared, None, "rank_stability"))) == expected
    every = points(family_of(even, None, "rank_stability"))
    assert expected == [name for name in every if name in expected] != list(every)
    assert points(family_of(shared, None, "ablation")) == points(family_of(even, None, "ablation"))


def test_what_is_varied_of_every_trial_is_searched_in_every_family():
    settings = Settings(encoders=("motif_cnn", "dilated_resnet"), vary={"epochs": "12, 24", "batch_size": (64, 32)})
    for name in FAMILIES:
        if name == "ablation":
            with pytest.raises(UserError, match="--vary: the family ablation moves one parameter at a time"):
                family_of(settings, None, name)
            continue
        family = family_of(settings, None, name)
        varied = {p.name: (p.values, p.default, p.when) for p in family.space if p.name in settings.vary}
        assert varied == {"epochs": ((12, 24), 12, {}), "batch_size": ((64, 32), 64, {})}
        assert {(of["epochs"], of["batch_size"]) for of in points(family).values()} == {(12, 64)}
        recipe = recipe_of(settings)
        tried = {recipe.config(family.flat(values), 0).epochs for values in family.representatives()}
        assert tried == {12, 24}
        assert recipe.epochs == 24


def test_what_is_varied_stands_in_place_of_a_familys_own_range():
    (rate,) = (p for p in family_of(Settings(vary={"lr": (0.01, 0.02)}), None, "baseline").space if p.name == "lr")
    assert rate == Choice(name="lr", values=(0.01, 0.02), default=0.01)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"vary": {"channels": (1, 2)}}, "--vary channels: is no number or option that every trial has"),
        ({"vary": {"seed": (1, 2)}}, "--vary seed: is no number"),
        ({"vary": {"lr": (0.1,)}}, "--vary lr: give two values or more, each once, such as"),
        ({"vary": {"lr": (0.1, 0.1)}}, "--vary lr: give two values"),
        ({"vary": {"lr": (0.1, 0.2)}, "set": {"lr": 0.1}}, "--vary lr: is set, too"),
        ({"vary": {"epochs": (1, 2)}, "epochs": 3}, "--vary epochs: is set, too"),
    ],
)
def test_what_cannot_be_varied_is_refused(fields, said):
    with pytest.raises(UserError, match=said):
        family_of(Settings(**fields), None, "baseline")


@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "ablation"])
def test_every_registered_encoder_joins_every_family(name, own_encoder):
    """A plug-in's among them; what is searched of it is asked for where a trial has it, and nowhere else."""
    own_encoder(small=4, high=32)
    every = tuple(ENCODERS)
    assert "mine" in every
    family = family_of(Settings(encoders=every), None, name)
    if name == "factorized":  # it is about an encoder of its own
        return
    assert set(encoders_of(family)) == set(every)
    asked = {}
    for values in family.representatives():
        asked.setdefault(family.flat(values)["encoder"], set()).update(k for k in values if k.startswith("encoder."))
    of_family = {p.name for p in FAMILIES.get(name).space}
    for encoder in every:
        own = {parameter.name for parameter in encoder_space(encoder, "small").parameters}
        assert own <= asked[encoder] <= own | of_family


def test_an_ablation_is_on_the_first_encoder():
    family = family_of(Settings(encoders=("motif_cnn", "dream_rnn")), None, "ablation")
    assert family.fixed["encoder"] == "motif_cnn"
    (switch,) = (p for p in family.space if p.name == "@swept_rank_stability")
    assert switch.values == ("loss.k", "lr", "weight_decay", "encoder.dropout")
    assert family.starting_points()[0][0] == "ABL1_ng_a01 (on motif_cnn)"


def test_an_encoder_that_is_set_is_the_one_asked_for():
    for settings in (Settings(set={"encoder": "dream_rnn"}), Settings(encoders=("dream_rnn",))):
        assert settings.encoders_asked == ("dream_rnn",)
        (rate,) = (p for p in family_of(settings, None, "baseline").space if p.name == "lr")
        assert (rate.low, rate.default) == (LR.low, LR.default)
    assert Settings(set={"encoder": "dream_rnn"}, encoders=()).encoders_asked == ()


def test_what_is_set_of_an_encoder_leaves_out_those_that_have_no_such_parameter():
    """Not those that have it, and of which it is not searched."""
    for name, left in (
        ("channels", {"motif_cnn", "dream_rnn", "factorized"}),
        ("dropout", {"motif_cnn", "dream_rnn"}),
        ("vib_beta", {"factorized"}),
    ):
        settings = Settings(encoders=("motif_cnn", "dream_rnn", "factorized"), set={f"encoder.{name}": 2})
        for family in ("baseline", "rank_stability"):
            found = family_of(settings, None, family)
            assert set(encoders_of(found)) == left
            assert f"encoder.{name}" not in {parameter.name for parameter in found.space}
            assert {str(of.get("encoder", found.fixed.get("encoder"))) for of in points(found).values()} == left


OWN = """
import dataclasses
from typing import ClassVar
from nrtune import Encoder, Range, param

@dataclasses.dataclass(frozen=True, kw_only=True)
class Mine(Encoder):
    \"\"\"Base composition.\"\"\"
    presets: ClassVar = {{"small": {{"width": {small}}}}}
    width: int = param(16, low={low}, searched=Range(2, {high}, log=True))
    def module(self):
        raise NotImplementedError
"""


@pytest.fixture
def own_encoder(tmp_path, monkeypatch):
    def write(low=1, **values):
        (tmp_path / "encoders").mkdir(exist_ok=True)
        (tmp_path / "encoders" / "mine.py").write_text(OWN.format(low=low, **values))
        monkeypatch.setenv(PLUGIN_VARIABLE, str(tmp_path))

    return write


def test_an_encoder_of_the_users_own_joins_every_family(own_encoder):
    own_encoder(small=4, high=32)
    family = family_of(Settings(encoders=("mine",)), None, "noise_gated")
    (width,) = (p for p in family.space if p.name == "encoder.width")
    assert (width.low, width.high, width.default, width.log, width.when) == (2, 32, 4, True, {"encoder": ("mine",)})


def test_a_range_that_lacks_its_default_is_refused(own_encoder):
    own_encoder(small=64, high=32)
    said = r"encoder mine: its default width 64 is not among what is searched \(2 to 32\)"
    with pytest.raises(UserError, match=said):
        family_of(Settings(encoders=("mine",)), None, "baseline")


def test_a_range_beyond_a_parameters_bounds_is_refused(own_encoder):
    own_encoder(small=4, high=32, low=8)
    with pytest.raises(UserError, match="encoder mine: width must be at least 8, not 2"):
        family_of(Settings(encoders=("mine",)), None, "baseline")
