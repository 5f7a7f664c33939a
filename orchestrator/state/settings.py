"""Settings of a campaign: one YAML file, each field of which a command-line flag overrides."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import yaml
from pydantic import Field, ValidationError, field_validator

from nrtune.analysis.store.records import MANIFEST, read_manifest
from nrtune.orchestrator.state.data_settings import STUDY, DataSettings
from nrtune.orchestrator.state.given import VARIABLES, check_given
from nrtune.trainables.core.errors import UserError, suggest
from nrtune.trainables.core.yaml_file import read_yaml

PositiveInt = Annotated[int, Field(ge=1)]
KEEP_ALL, AUTO, NONE = "all", "auto", "none"


class RunSettings(DataSettings):
    """What every campaign is told, of the data first. Paths are relative to the folder that the command runs in.

    warm_start: a trained model's best.pt, whose weights trials on its encoder start from. freeze: first keeps its first layer.
    cpus_per_trial, gpus_per_trial: auto packs as many trials on a GPU, or on a node without any, as measured to pay.
    kernels: on a GPU in bf16, PyTorch's own layers, nrtune's, or whichever proves right and faster before its first use.
    prices: of an hour of a CPU and of a GPU, in any currency, which make costs of what trials held. keep_top, keep: once it is
    finished, checkpoints stay of so many trials a use case, and of these trials, or all.
    """

    command: ClassVar[str]
    epochs_of: ClassVar[Mapping[str, int]] = {}
    """The epochs of presets, where they are not the study's."""

    preset: str = "small"
    epochs: PositiveInt | None = None
    precision: Literal["auto", "float32", "bf16"] = "auto"
    select_on: Literal["release", "val", "challenge"] | None = None
    warm_start: Path | None = None
    freeze: Literal["none", "first"] = "none"

    # Where to, and as what
    out: Path | None = None
    name: str | None = None
    tracker: str = "mlflow"
    tracking_uri: str | None = None

    # How to run
    address: str | None = None
    kernels: Literal["auto", "torch", "triton"] = "auto"
    max_concurrent: PositiveInt | None = None
    cpus_per_trial: PositiveInt | Literal["auto"] = 1
    gpus_per_trial: Annotated[float, Field(ge=0)] | Literal["auto"] | None = None
    time_budget: Annotated[float, Field(gt=0)] | None = None
    trial_time_limit: Annotated[float, Field(gt=0)] | None = None
    prices: dict[Literal["cpu_hour", "gpu_hour"], Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    keep_top: PositiveInt = 5
    keep: tuple[str, ...] = ()
    resume: bool = False

    def to_yaml(self) -> str:
        """The settings as a YAML file that gives them again."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)


ADAPTIVE_FROM = 10
"""Trials a family, the default, from which on families share theirs: of fewer, most are the minimum of each anyway."""


class Settings(RunSettings):
    """Everything a search is told.

    encoders: what each family's trials have, but of families that are about an encoder of their own; study or none: those that
    the study had each on. recipe: how all trials are trained and predict, one of `RECIPES`, unless `set` says otherwise; not
    given, a campaign that has begun keeps its own, and one that began before there were any the study's.
    trials: of each family; with adaptive allocation so many a family on average, and `min_trials` of each at least. auto is
    adaptive from ADAPTIVE_FROM trials a family on, but for a grid.
    starting_points: the published configurations that a family's trials begin with: the first on each encoder, or all; auto is
    the first with adaptive allocation, else all. A campaign that has begun keeps its own.
    set: flat parameters of every trial, which the search then leaves alone. vary: parameters that every trial has, such as epochs
    and batch_size, and the values that each family's search tries of them; its first trials have the first.
    around: the configuration that the family ablation moves away from, a published name or DIR/TRIAL.
    objective: METRIC:max or METRIC:min, one or several; none: the CAGI5 Spearman of what winners are selected on.
    confirm: the share of all trainings that go to fresh seeds of the baseline and of finalists once the search has ended, those
    of `use_case`, or of all; 0 or none: no training. use_cases: a file of further use cases.
    """

    command: ClassVar[str] = "search"
    epochs_of: ClassVar[Mapping[str, int]] = {"small": 12}

    families: tuple[str, ...] = ("baseline", "rank_stability", "distributional")
    encoders: tuple[str, ...] = ("motif_cnn",)
    recipe: Literal["field", "study"] = "field"
    trials: PositiveInt = 10
    allocation: Literal["auto", "even", "adaptive"] = "auto"
    min_trials: PositiveInt = 3
    starting_points: Literal["auto", "first", "all"] = "auto"
    set: dict[str, str | int | float | bool] = Field(default_factory=dict)
    vary: dict[str, tuple[int | float | bool, ...]] = Field(default_factory=dict)
    around: str | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    optuna_storage: str | None = None
    scheduler: str = "asha"
    sampler: Literal["tpe", "nsga2", "random", "grid"] = "tpe"
    objective: tuple[str, ...] = ()
    grace_epochs: PositiveInt | None = None
    reduction_factor: Annotated[float, Field(gt=1)] = 3
    confirm: Annotated[float, Field(ge=0, lt=1)] = 0.4
    use_case: tuple[str, ...] = ()
    use_cases: Path | None = None

    @property
    def encoders_asked(self) -> tuple[str, ...]:
        """The encoders that families are put on; one that is `set` is the only one. Empty: those of the study."""
        given = self.set.get("encoder")
        return self.encoders if given is None or not self.encoders else (str(given),)

    @field_validator("encoders", mode="before")
    @classmethod
    def _study_is_none_of_them(cls, value: Any) -> Any:
        return () if value == STUDY or (isinstance(value, list | tuple) and list(value) == [STUDY]) else value

    @property
    def is_adaptive(self) -> bool:
        """Whether families that promise more get more of the trials."""
        large = self.trials >= ADAPTIVE_FROM and self.sampler != "grid"
        return self.allocation == "adaptive" or (self.allocation == "auto" and large)

    @property
    def starts_from(self) -> Literal["first", "all"]:
        """Which of a family's published configurations its trials begin with."""
        if self.starting_points == "auto":
            return "first" if self.is_adaptive else "all"
        return self.starting_points

    @field_validator("vary", mode="before")
    @classmethod
    def _several_values(cls, value: Any) -> Any:
        """In a file, values may be a text with commas."""
        if not isinstance(value, Mapping):
            return value
        split = {n: of.split(",") if isinstance(of, str) else of for n, of in value.items()}
        return {
            name: [_number(one) for one in of] if isinstance(of, list | tuple) else of for name, of in split.items()
        }

    @property
    def most_epochs(self) -> int | None:
        """The epochs of every trial, or the most of those that are tried; None for the preset's."""
        return int(max(self.vary["epochs"])) if self.vary.get("epochs") else self.epochs

    @field_validator("confirm", mode="before")
    @classmethod
    def _none_is_no_share(cls, value: Any) -> Any:
        return 0 if value == NONE else value


def _number(text: Any) -> Any:
    """What a text says, if it is a number, true or false; else itself."""
    try:
        return json.loads(text) if isinstance(text, str) else text
    except json.JSONDecodeError:
        return text


class StudySettings(RunSettings):
    """Everything that a run of the published configurations is told; `only` names some of them, or families."""

    command: ClassVar[str] = "study"

    only: tuple[str, ...] = ()


class ReplicateSettings(RunSettings):
    """Everything that a replication is told: of `use_case`, or of all, the `top` best again with so many fresh seeds.

    use_cases: a file of further use cases.
    """

    command: ClassVar[str] = "replicate"

    top: PositiveInt = 5
    seeds: PositiveInt = 5
    use_case: tuple[str, ...] = ()
    use_cases: Path | None = None
    resume: bool = True


S = TypeVar("S", bound=RunSettings)


def load_settings(path: Path | None, overrides: Mapping[str, Any], model: type[S], *, as_flags: bool = True) -> S:
    """Read a settings file and lay the given flags over it; None means that a flag was not given.

    With `resume`, what neither of them says is as the campaign in `out` was started with; without it, what could not be chosen
    when that one was. as_flags: whether errors speak of
    flags of the command line, or of keywords.

    Raises UserError, one sentence, for an unknown key or a wrong value.
    """
    values = {} if path is None else _read_yaml(path)
    given = {key: value for key, value in overrides.items() if value is not None}
    out = given.get("out", values.get("out"))
    if out is not None and (Path(out) / MANIFEST).exists():
        manifest, resumed = read_manifest(Path(out)), given.get("resume", values.get("resume"))
        if resumed and (command := manifest["identity"].get("command")) != model.command:
            raise UserError(f"{out}: is a {command}, not a {model.command}; go on with nrtune {command} --resume")
        stored = _stored(Path(out), manifest, values | given) if resumed else {}
        values = {**_before_encoders(manifest, model), **stored, **values}
        return _as_begun(_build(model, values, given, path, as_flags=as_flags), manifest["identity"])
    return _build(model, values, given, path, as_flags=as_flags)


def load_replication(folder: Path, flags: Mapping[str, Any], *, as_flags: bool = True) -> ReplicateSettings:
    """The settings of the campaign in a folder, a new time budget apart, with the given flags laid over them.

    Raises UserError, one sentence, for a wrong value and for a folder whose trials nrtune did not train.
    """
    manifest = read_manifest(folder)
    if manifest["identity"].get("command") not in (Settings.command, StudySettings.command):
        raise UserError(f"{folder}: is neither a search nor a study: its trials can't be trained again")
    shared = set(RunSettings.model_fields) - {"out", "resume", "time_budget"}
    given = {key: value for key, value in flags.items() if value is not None}
    stored = {key: value for key, value in _stored(folder, manifest, given).items() if key in shared}
    stored |= {
        "out": folder,
        "select_on": manifest["identity"]["select_on"],
        "epochs": manifest["identity"].get("epochs"),
    }
    return _build(ReplicateSettings, stored, given, folder / MANIFEST, as_flags=as_flags)


def _stored(folder: Path, manifest: Mapping[str, Any], given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings that a campaign's folder has. Raises UserError for an address that is not given now, and never was."""
    stored: Mapping[str, Any] = manifest["settings"]
    for name in VARIABLES.keys() & stored.keys():
        if given.get(name) is None:
            check_given(folder, name, stored[name])
    return stored


def _before_encoders(manifest: Mapping[str, Any], model: type[RunSettings]) -> dict[str, Any]:
    """What a search's settings don't tell that began when it had the study's encoders and its epochs."""
    identity = manifest["identity"]
    if model.command != Settings.command or "encoders" in identity:
        return {}
    return {"encoders": (), **({"epochs": identity["epochs"]} if "epochs" in identity else {})}


def _as_begun(settings: S, identity: Mapping[str, Any]) -> S:
    """With the starting points that a search began with, unless others are asked for: more --trials must not change them."""
    if not isinstance(settings, Settings) or settings.starting_points != "auto":
        return settings
    began = identity.get("starting_points", "all")
    return settings if settings.starts_from == began else settings.model_copy(update={"starting_points": began})


def _build(
    model: type[S], values: Mapping[str, Any], given: Mapping[str, Any], path: Path | None, *, as_flags: bool
) -> S:
    where = {key: f"--{key.replace('_', '-')}" if as_flags else key for key in given}
    try:
        return model(**{**values, **given})
    except ValidationError as error:
        raise UserError(_sentence(error, path, where, model)) from error


def _read_yaml(path: Path) -> dict[str, Any]:
    values = read_yaml(path, "a settings file")
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise UserError(f"{path}: must map names to values, such as `trials: 20`")
    return values


def _sentence(error: ValidationError, path: Path | None, where: Mapping[str, str], model: type[RunSettings]) -> str:
    """The first of pydantic's complaints, in one sentence."""
    first = error.errors()[0]
    key = str(first["loc"][0])
    place = where.get(key, f"{path}: {key}")
    if first["type"] == "extra_forbidden":
        hint = suggest(key, model.model_fields, f"; `nrtune {model.command} --print-settings` shows the known ones")
        return f"{'' if path is None else f'{path}: '}unknown key {key!r}{hint}"
    if key == "set" and len(first["loc"]) > 1:  # of several types pydantic names one alone
        return f"{place}: {first['loc'][1]} should be a text, a number, true or false, not {first['input']!r}"
    message = first["msg"][0].lower() + first["msg"][1:]
    return f"{place}: {message}, not {first['input']!r}"
