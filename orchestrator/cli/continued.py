"""The commands that go on with a campaign: fresh seeds, what MLflow lacks, failed trials."""

from __future__ import annotations

from typing import Annotated

import typer

from nrtune.orchestrator.cli import option_texts, options
from nrtune.orchestrator.cli.panels import BUDGET, RUN, TRACKING, command, group
from nrtune.orchestrator.cli.run import run

app = group()


@command(app, RUN, "nrtune replicate campaign --use-case low_confidence --seeds 5")
def replicate(
    folder: options.Folder,
    data: options.Data = None,
    cagi5: options.Cagi5 = None,
    satmut: options.Satmut = None,
    benchmark: options.Benchmark = None,
    top: Annotated[
        int | None, typer.Option(help="Finalists of each use case. [default: 5]", rich_help_panel=BUDGET)
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Fresh seeds, the same for all. [default: 5]", rich_help_panel=BUDGET)
    ] = None,
    use_case: options.AskedUseCases = None,
    use_cases: options.UseCases = None,
    select_on: options.CampaignSelectOn = None,
    accept: options.Accept = None,
    max_concurrent: options.MaxConcurrent = None,
    cpus_per_trial: options.CpusPerTrial = None,
    gpus_per_trial: options.GpusPerTrial = None,
    kernels: options.Kernels = None,
    time_budget: options.TimeBudget = None,
    trial_time_limit: options.TrialTimeLimit = None,
    tracking_uri: options.TrackedUri = None,
    address: options.Address = None,
) -> None:
    """Train the best trials of each use case again, and the baseline, with fresh seeds.

    The same command again goes on where it was interrupted. How to run is as in the search where no option says otherwise.
    """
    flags = option_texts.given(locals(), use_case=option_texts.all_of(use_case))
    from nrtune.orchestrator.state.settings import load_replication

    run(load_replication(folder, flags))


@command(app, RUN, "nrtune track campaign --tracking-uri http://localhost:5000")
def track(folder: options.Folder, tracking_uri: options.TrackedUri = None) -> None:
    """Write into MLflow what it lacks of a campaign: all of it into an empty server, nothing twice.

    The campaign's records hold all that MLflow shows, replicates and kept models included.
    """
    from nrtune.orchestrator.campaign.track import track as write

    typer.echo(write(folder, tracking_uri, lambda sentence: typer.echo(sentence, err=True)), err=True)


@command(app, RUN, "nrtune retry campaign RS-002")
def retry(
    folder: options.Folder,
    trials: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TRIAL]...", help="Names of failed trials. [default: all that failed]"),
    ] = None,
    address: options.Address = None,
    max_concurrent: options.MaxConcurrent = None,
    time_budget: options.TimeBudget = None,
    tracking_uri: options.TrackedUri = None,
    optuna_storage: Annotated[
        str | None, typer.Option(help="Optuna database URL. [default: the campaign's]", rich_help_panel=TRACKING)
    ] = None,
) -> None:
    """Try failed trials again, once their cause is mended, and go on with the campaign.

    How to run is as in the campaign where no option says otherwise.
    """
    from nrtune.orchestrator.campaign.retry import retried

    flags = {
        "address": address,
        "max_concurrent": max_concurrent,
        "time_budget": time_budget,
        "tracking_uri": tracking_uri,
        "optuna_storage": optuna_storage,
    }
    settings, names = retried(folder, trials or (), flags)
    typer.echo(f"trying again: {', '.join(names)}", err=True)
    run(settings)
