"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nrtune.orchestrator.cli.names import closed, completing, schedulers, use_cases
from nrtune.orchestrator.cli.panels import BUDGET, CLUSTER, DATA, MODELS, OUTPUT, TRACKING, WINNERS
from nrtune.orchestrator.state.given import VARIABLES

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""

SettingsFile = Annotated[
    Path | None, typer.Argument(metavar="SETTINGS.yaml", help="Settings file; every flag overrides one field.")
]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The campaign's folder (a search's --out).")]
Source = Annotated[
    str,
    typer.Argument(
        metavar="DIR", help="The campaign's folder; or an MLflow URI[#NAME], a .parquet export, the study's .csv."
    ),
]
CampaignSelectOn = Annotated[
    str | None,
    typer.Option(
        help="Data that winners are selected on. [default: the campaign's]",
        **closed("select_on"),
        rich_help_panel=WINNERS,
    ),
]


def use_case_option(help: str, metavar: str = "NAME") -> Any:
    """--use-case, which completes; help says whose, or which, it is."""
    return typer.Option(metavar=metavar, help=help, autocompletion=completing(use_cases), rich_help_panel=WINNERS)


UseCases = Annotated[
    Path | None,
    typer.Option(metavar="FILE.yaml", help="Use cases of your own, beside the known ones.", rich_help_panel=WINNERS),
]
AskedUseCases = Annotated[
    list[str] | None,
    use_case_option(
        "Use cases; give it again, or several with commas, for several: {use_cases}. [default: all]", "NAME"
    ),
]
Confirm = Annotated[
    str | None,
    typer.Option(
        metavar="SHARE|none",
        help="Share of all trainings that go to fresh seeds of the baseline and of the best trials. [default: 0.4]",
        rich_help_panel=BUDGET,
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE|TRAIN,VAL,TEST",
        help="lentiMPRA data: .h5, or a table of sequences and activity (CSV, TSV, .gz, .bz2, Parquet); or a table a split.",
        rich_help_panel=DATA,
    ),
]
Cagi5 = Annotated[Path | None, typer.Option(help="Folder of CAGI5 files and references.json.", rich_help_panel=DATA)]
Satmut = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the saturation mutagenesis study's elements.tsv.gz and references.json, to score on too.",
        rich_help_panel=DATA,
    ),
]
Benchmark = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=PATH",
        help="Variants to score on too, such as table=FILE.tsv; give it again for several.",
        rich_help_panel=DATA,
    ),
]
Out = Annotated[
    Path | None, typer.Option(help="The campaign's folder; the same again goes on with it.", rich_help_panel=OUTPUT)
]
Epochs = Annotated[
    int | None,
    typer.Option(
        help="Epochs a trial. [default: 80 with preset study; with small 12 of a search, 4 of a study]",
        rich_help_panel=BUDGET,
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(
        help="Model size and budget. [default: small]",
        **closed("preset"),
        rich_help_panel=MODELS,
    ),
]
Recipe = Annotated[
    str | None,
    typer.Option(
        help="field: both strands are trained on and averaged in predictions, labels standardised, no weight decay on biases"
        " and norms; study: none of that, as the study. --set both_strands=false changes one of them. [default: field]",
        **closed("recipe"),
        rich_help_panel=MODELS,
    ),
]
Precision = Annotated[
    str | None,
    typer.Option(
        help="Numbers that are trained with; auto: bf16 where a GPU has it. [default: auto]",
        **closed("precision"),
        rich_help_panel=MODELS,
    ),
]
SelectOn = Annotated[
    str | None,
    typer.Option(
        help="Data that winners are selected on. [default: release, or val without --cagi5]",
        **closed("select_on"),
        rich_help_panel=WINNERS,
    ),
]
WarmStart = Annotated[
    Path | None,
    typer.Option(
        metavar="CHECKPOINT",
        help="A trial's best.pt, or its folder, such as of another cell line's campaign: trials on its encoder, the baseline"
        " among them, start from its weights, and have its sizes. [default: random weights]",
        rich_help_panel=MODELS,
    ),
]
Freeze = Annotated[
    str | None,
    typer.Option(
        help="first: the encoder's first layer stays as --warm-start has it. [default: none]",
        **closed("freeze"),
        rich_help_panel=MODELS,
    ),
]
CellLine = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|ELEMENT=NAME,…",
        help="Cell line whose elements are averaged, such as K562 or HepG2, or elements' cell lines. [default: as the data file's"
        " name says, else K562]",
        autocompletion=completing("cell_line"),
        rich_help_panel=DATA,
    ),
]
FolderCellLine = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|ELEMENT=NAME,…",
        help="Cell line whose elements are averaged, or elements' cell lines. [default: as the folder says, else K562]",
        rich_help_panel=DATA,
    ),
]
Noise = Annotated[
    str | None,
    typer.Option(
        help="Where a table's noise comes from. [default: auto]",
        **closed("noise"),
        rich_help_panel=DATA,
    ),
]
Accept = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ID",
        help="An error of the data's audit that does not refuse; it is said beside every result.",
        rich_help_panel=DATA,
    ),
]
Name = Annotated[str | None, typer.Option(help="The campaign's name. [default: the folder's]", rich_help_panel=OUTPUT)]
MaxConcurrent = Annotated[
    int | None, typer.Option(help="Trials at a time. [default: as many as fit]", rich_help_panel=CLUSTER)
]
CpusPerTrial = Annotated[
    str | None,
    typer.Option(help="CPU cores a trial; auto: as measured, without GPUs. [default: 1]", rich_help_panel=CLUSTER),
]
Kernels = Annotated[
    str | None,
    typer.Option(
        help="What trains on a GPU in bf16: PyTorch's own layers, nrtune's, or whichever proves right and faster before its"
        " first use. [default: auto]",
        **closed("kernels"),
        rich_help_panel=CLUSTER,
    ),
]
GpusPerTrial = Annotated[
    str | None,
    typer.Option(
        help="GPUs a trial, fractions allowed; auto: as measured. [default: 1 where there are any]",
        rich_help_panel=CLUSTER,
    ),
]
TimeBudget = Annotated[
    float | None,
    typer.Option(
        metavar="MINUTES", help="Then running trials are put off, and the same command goes on.", rich_help_panel=BUDGET
    ),
]
TrialTimeLimit = Annotated[
    float | None, typer.Option(metavar="MINUTES", help="A trial that takes longer fails.", rich_help_panel=BUDGET)
]
KeepTop = Annotated[
    int | None,
    typer.Option(
        help="Trials of each use case whose checkpoints stay at the end. [default: 5]", rich_help_panel=OUTPUT
    ),
]
Keep = Annotated[
    list[str] | None,
    typer.Option(metavar="TRIAL|all", help="A trial whose checkpoint stays, too, or all.", rich_help_panel=OUTPUT),
]
Tracker = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="What shows the trials: mlflow, or one of your own. [default: mlflow]",
        rich_help_panel=TRACKING,
    ),
]
TrackingUri = Annotated[
    str | None,
    typer.Option(
        envvar=VARIABLES["tracking_uri"],
        help="MLflow tracking URI. [default: a SQLite file in the campaign's folder]",
        rich_help_panel=TRACKING,
    ),
]
TrackedUri = Annotated[
    str | None,
    typer.Option(
        "--tracking-uri",
        help="MLflow tracking URI, this once. [default: where the campaign is tracked]",
        rich_help_panel=TRACKING,
    ),
]
Address = Annotated[
    str | None, typer.Option(help="Ray cluster, such as auto. [default: this machine]", rich_help_panel=CLUSTER)
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Stops trials early that fall behind on validation: {schedulers}. [default: asha]",
        autocompletion=completing(schedulers),
        rich_help_panel=BUDGET,
    ),
]
Sampler = Annotated[
    str | None,
    typer.Option(
        help="Proposes trials. [default: tpe]",
        **closed("sampler"),
        rich_help_panel=MODELS,
    ),
]
Objective = Annotated[
    list[str] | None,
    typer.Option(
        metavar="METRIC:max|min",
        help="What to optimise, such as val/noise/corr:min; give it again for several at once. [default: the CAGI5"
        " Spearman, or validation's, of what is selected on]",
        rich_help_panel=MODELS,
    ),
]
Resume = Annotated[
    bool | None, typer.Option("--resume", help="Go on with --out, settings included.", rich_help_panel=OUTPUT)
]
PrintSettings = Annotated[
    bool, typer.Option("--print-settings", help="Print the settings as YAML and stop.", rich_help_panel=OUTPUT)
]
