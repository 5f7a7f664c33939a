"""The commands that begin a campaign: a demo, a search, the study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nrtune.orchestrator.cli import option_texts, options, table_options
from nrtune.orchestrator.cli.answers import print_best
from nrtune.orchestrator.cli.names import closed, completing, encoders, families
from nrtune.orchestrator.cli.panels import BUDGET, MODELS, OUTPUT, RUN, TRACKING, command, group
from nrtune.orchestrator.cli.run import run
from nrtune.orchestrator.state.given import VARIABLES
from nrtune.trainables.core.errors import UserError

app = group()

DEMO_NETWORK: dict[str, str | int | float | bool] = {"encoder.channels": 64, "encoder.kernel": 15, "encoder.depth": 1}
"""Half as wide as a small one, and one layer less: simulated data need no more, and a training takes half the time."""


@command(app, RUN, "nrtune demo --trials 3")
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the demo's data and campaign.", rich_help_panel=OUTPUT)] = Path(
        "nrtune-demo"
    ),
    trials: Annotated[int, typer.Option(min=1, help="Trials a family.", rich_help_panel=BUDGET)] = 3,
) -> None:
    """Run the main job on simulated data: three families, a few trials each, winners at the end."""
    from nrtune.orchestrator.state.settings import Settings
    from nrtune.trainables.data.simulate import HDF5_NAME, simulate, write_simulated

    data = out / "data"
    if not (data / HDF5_NAME).exists():  # written last
        typer.echo(f"simulating lentiMPRA data into {data}", err=True)
        write_simulated(simulate(4000), data)
    settings = Settings(
        data=data / HDF5_NAME, cagi5=data / "cagi5", out=out / "campaign", trials=trials, epochs=6, set=DEMO_NETWORK
    )
    run(settings, answer=False)
    print_best(str(out / "campaign"), "all")


@command(
    app,
    RUN,
    "nrtune search --data lentiMPRA.h5 --cagi5 cagi5/ --trials 20 --out campaign",
    "nrtune search settings.yaml --time-budget 600",
)
def search(
    settings: options.SettingsFile = None,
    families: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,…",
            help="Method families: {families}. [default: baseline,rank_stability,distributional]",
            autocompletion=completing(families),
            rich_help_panel=MODELS,
        ),
    ] = None,
    encoders: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,…",
            help="Encoders that every family is put on: {encoders}; study: each on those that the study had it on."
            " [default: motif_cnn]",
            autocompletion=completing(encoders),
            rich_help_panel=MODELS,
        ),
    ] = None,
    data: options.Data = None,
    columns: table_options.Columns = None,
    split_by: table_options.SplitBy = None,
    val_chroms: table_options.ValChroms = None,
    test_chroms: table_options.TestChroms = None,
    cagi5: options.Cagi5 = None,
    satmut: options.Satmut = None,
    benchmark: options.Benchmark = None,
    out: options.Out = None,
    trials: Annotated[int | None, typer.Option(help="Trials a family. [default: 10]", rich_help_panel=BUDGET)] = None,
    allocation: Annotated[
        str | None,
        typer.Option(
            help="even: as many trials a family; adaptive: more for those that promise more; auto: adaptive from 10 trials a"
            " family on. [default: auto]",
            **closed("allocation"),
            rich_help_panel=BUDGET,
        ),
    ] = None,
    min_trials: Annotated[
        int | None,
        typer.Option(
            help="Trials that each family gets at least with adaptive allocation. [default: 3]", rich_help_panel=BUDGET
        ),
    ] = None,
    starting_points: Annotated[
        str | None,
        typer.Option(
            help="Published configurations that a family's trials begin with: first (on each encoder) or all; auto: first with"
            " adaptive allocation. [default: auto]",
            **closed("starting_points"),
            rich_help_panel=MODELS,
        ),
    ] = None,
    epochs: options.Epochs = None,
    preset: options.Preset = None,
    recipe: options.Recipe = None,
    precision: options.Precision = None,
    warm_start: options.WarmStart = None,
    freeze: options.Freeze = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of every random choice. [default: 0]", rich_help_panel=MODELS)
    ] = None,
    set: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Fix a parameter of every trial, such as encoder=factorized or encoder.dropout=0.3.",
            rich_help_panel=MODELS,
        ),
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE,VALUE",
            help="Values of a parameter of every trial that each family's search tries, such as epochs=12,24 or"
            " batch_size=32,64; the first trials have the first.",
            rich_help_panel=MODELS,
        ),
    ] = None,
    around: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|DIR/TRIAL",
            help="Configuration that the family ablation moves away from.",
            rich_help_panel=MODELS,
        ),
    ] = None,
    confirm: options.Confirm = None,
    use_case: options.AskedUseCases = None,
    use_cases: options.UseCases = None,
    scheduler: options.Scheduler = None,
    sampler: options.Sampler = None,
    objective: options.Objective = None,
    select_on: options.SelectOn = None,
    cell_line: options.CellLine = None,
    noise: options.Noise = None,
    accept: options.Accept = None,
    name: options.Name = None,
    max_concurrent: options.MaxConcurrent = None,
    cpus_per_trial: options.CpusPerTrial = None,
    gpus_per_trial: options.GpusPerTrial = None,
    kernels: options.Kernels = None,
    time_budget: options.TimeBudget = None,
    trial_time_limit: options.TrialTimeLimit = None,
    keep_top: options.KeepTop = None,
    keep: options.Keep = None,
    tracker: options.Tracker = None,
    tracking_uri: options.TrackingUri = None,
    optuna_storage: Annotated[
        str | None,
        typer.Option(
            envvar=VARIABLES["optuna_storage"],
            help="Optuna database URL. [default: a journal file in the campaign's folder]",
            rich_help_panel=TRACKING,
        ),
    ] = None,
    address: options.Address = None,
    resume: options.Resume = None,
    print_settings: options.PrintSettings = False,
) -> None:
    """Search method families, and confirm the winners with fresh seeds.

    The same command again goes on where it was interrupted.
    """
    flags = option_texts.given(
        locals(),
        families=option_texts.comma_separated(families),
        encoders=option_texts.comma_separated(encoders),
        set=option_texts.assignments(set),
        vary=option_texts.assigned_texts(vary, "--vary", "epochs=12,24"),
        objective=objective or None,
        use_case=option_texts.all_of(use_case),
    )
    from nrtune.orchestrator.state.settings import Settings, load_settings

    loaded = load_settings(settings, flags, Settings)
    if print_settings:
        typer.echo(loaded.to_yaml(), nl=False)
        return
    run(loaded)


@command(app, RUN, "nrtune study --data lentiMPRA.h5 --cagi5 cagi5/ --only RS3,B1 --out study")
def study(
    settings: options.SettingsFile = None,
    only: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,…",
            help="Configurations such as RS3, families or their codes: {families}. [default: all]",
            rich_help_panel=MODELS,
        ),
    ] = None,
    data: options.Data = None,
    columns: table_options.Columns = None,
    split_by: table_options.SplitBy = None,
    val_chroms: table_options.ValChroms = None,
    test_chroms: table_options.TestChroms = None,
    cagi5: options.Cagi5 = None,
    satmut: options.Satmut = None,
    benchmark: options.Benchmark = None,
    out: options.Out = None,
    epochs: options.Epochs = None,
    preset: options.Preset = None,
    precision: options.Precision = None,
    warm_start: options.WarmStart = None,
    freeze: options.Freeze = None,
    select_on: options.SelectOn = None,
    cell_line: options.CellLine = None,
    noise: options.Noise = None,
    accept: options.Accept = None,
    name: options.Name = None,
    max_concurrent: options.MaxConcurrent = None,
    cpus_per_trial: options.CpusPerTrial = None,
    gpus_per_trial: options.GpusPerTrial = None,
    kernels: options.Kernels = None,
    time_budget: options.TimeBudget = None,
    trial_time_limit: options.TrialTimeLimit = None,
    keep_top: options.KeepTop = None,
    keep: options.Keep = None,
    tracker: options.Tracker = None,
    tracking_uri: options.TrackingUri = None,
    address: options.Address = None,
    resume: options.Resume = None,
    print_settings: options.PrintSettings = False,
) -> None:
    """Train the study's 75 configurations and its baseline, each with its name and seed, each to its end."""
    flags = option_texts.given(locals(), only=option_texts.comma_separated(only))
    if flags["only"] == ():
        raise UserError("--only is empty; give names such as RS3, families or their codes, or leave it out for all")
    from nrtune.orchestrator.state.settings import StudySettings, load_settings

    loaded = load_settings(settings, flags, StudySettings)
    if print_settings:
        typer.echo(loaded.to_yaml(), nl=False)
        return
    run(loaded)
