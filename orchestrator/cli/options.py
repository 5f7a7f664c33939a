"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from nrtune.orchestrator.state.locations import TRACKING_VARIABLE

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""

CHOICES: Mapping[str, tuple[str, ...]] = {
    "preset": ("small", "study"),
    "recipe": ("field", "study"),
    "precision": ("auto", "float32", "bf16"),
    "freeze": ("none", "first"),
    "select_on": ("release", "val", "challenge"),
    "noise": ("auto", "orientation", "replicates", "none"),
    "allocation": ("auto", "even", "adaptive"),
    "starting_points": ("auto", "first", "all"),
    "sampler": ("tpe", "nsga2", "random", "grid"),
    "cell_line": ("K562", "HepG2", "simulated"),
    "use_case": (
        "overall", "pearson", "high_confidence", "low_confidence", "noise_resistance", "in_distribution", "balance",
        "hc_lc_gap",
    ),
}  # fmt: skip
"""What a shell completes, written here because what defines it takes a second to import; a test compares them."""


def completing(names: str | Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """What completes an option: one of CHOICES or what is called for names. Behind commas the last name is completed."""

    def complete(incomplete: str) -> list[str]:
        head, comma, last = incomplete.rpartition(",")
        known = CHOICES[names] if isinstance(names, str) else names()
        return [f"{head}{comma}{name}" for name in known if name.startswith(last)]

    return complete


def families() -> Iterable[str]:
    """The names of all families, those of NRTUNE_PLUGINS among them."""
    from nrtune.search_spaces import FAMILIES

    return FAMILIES.names()


def encoders() -> Iterable[str]:
    """The names of all encoders, those of NRTUNE_PLUGINS among them."""
    from nrtune.trainables.core.registry import Registry

    return Registry("nrtune.trainables.encoders", "encoder", object).names()


def schedulers() -> Iterable[str]:
    """The rules of early stopping, and none."""
    from nrtune.orchestrator.lifecycle.rules import RULES

    return (*RULES.names(), "none")


def use_cases() -> Iterable[str]:
    """The use cases of every campaign, those of benchmarks, and all."""
    from nrtune.trainables.core.registry import Registry

    benchmarks: Registry[object] = Registry("nrtune.trainables.data.benchmarks", "benchmark", object)
    own = ("saturation_mutagenesis" if name == "satmut" else name for name in benchmarks if name != "cagi5")
    return (*CHOICES["use_case"], *own, "all")


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
    typer.Option(help="release, val or challenge. [default: the campaign's]", autocompletion=completing("select_on")),
]


def use_case_option(help: str, metavar: str = "NAME") -> Any:
    """--use-case, which completes; help says whose, or which, it is."""
    return typer.Option(metavar=metavar, help=help, autocompletion=completing(use_cases))


UseCases = Annotated[
    Path | None, typer.Option(metavar="FILE.yaml", help="Use cases of your own, beside the known ones.")
]
AskedUseCases = Annotated[
    list[str] | None,
    use_case_option("A use case; give it again, or several with commas, for several. [default: all]", "NAME"),
]
Confirm = Annotated[
    str | None,
    typer.Option(
        metavar="SHARE|none",
        help="Share of all trainings that go to fresh seeds of the baseline and of the best trials. [default: 0.4]",
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE|TRAIN,VAL,TEST",
        help="lentiMPRA data: .h5, or a table of sequences and activity (CSV, TSV, .gz, .bz2, Parquet); or a table a split.",
    ),
]
Cagi5 = Annotated[Path | None, typer.Option(help="Folder of CAGI5 files and references.json.")]
Satmut = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the saturation mutagenesis study's elements.tsv.gz and references.json, to score on too."
    ),
]
Benchmark = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=PATH", help="Variants to score on too, such as table=FILE.tsv; give it again for several."
    ),
]
Out = Annotated[Path | None, typer.Option(help="The campaign's folder; the same again goes on with it.")]
Epochs = Annotated[
    int | None,
    typer.Option(help="Epochs a trial. [default: 80 with preset study; with small 12 of a search, 4 of a study]"),
]
Preset = Annotated[
    str | None,
    typer.Option(help="Model size and budget: small or study. [default: small]", autocompletion=completing("preset")),
]
Recipe = Annotated[
    str | None,
    typer.Option(
        help="field: both strands are trained on and averaged in predictions, labels standardised, no weight decay on biases"
        " and norms; study: none of that, as the study. --set both_strands=false changes one of them. [default: field]",
        autocompletion=completing("recipe"),
    ),
]
Precision = Annotated[
    str | None, typer.Option(help="auto, float32 or bf16. [default: auto]", autocompletion=completing("precision"))
]
SelectOn = Annotated[
    str | None,
    typer.Option(
        help="Data that winners are selected on: release, val or challenge. [default: release, or val without --cagi5]",
        autocompletion=completing("select_on"),
    ),
]
WarmStart = Annotated[
    Path | None,
    typer.Option(
        metavar="CHECKPOINT",
        help="A trial's best.pt, or its folder, such as of another cell line's campaign: trials on its encoder, the baseline"
        " among them, start from its weights, and have its sizes. [default: random weights]",
    ),
]
Freeze = Annotated[
    str | None,
    typer.Option(
        help="none, or first: the encoder's first layer stays as --warm-start has it. [default: none]",
        autocompletion=completing("freeze"),
    ),
]
CellLine = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|ELEMENT=NAME,…",
        help="Cell line whose elements are averaged, such as K562 or HepG2, or elements' cell lines. [default: as the data file's"
        " name says, else K562]",
        autocompletion=completing("cell_line"),
    ),
]
FolderCellLine = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|ELEMENT=NAME,…",
        help="Cell line whose elements are averaged, or elements' cell lines. [default: as the folder says, else K562]",
    ),
]
Noise = Annotated[
    str | None,
    typer.Option(
        help="Noise of a .tsv: auto, orientation, replicates or none. [default: auto]",
        autocompletion=completing("noise"),
    ),
]
Accept = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ID", help="An error of the data's audit that does not refuse; it is said beside every result."
    ),
]
Name = Annotated[str | None, typer.Option(help="The campaign's name. [default: the folder's]")]
MaxConcurrent = Annotated[int | None, typer.Option(help="Trials at a time. [default: as many as fit]")]
CpusPerTrial = Annotated[
    str | None, typer.Option(help="CPU cores a trial; auto: as measured, without GPUs. [default: 1]")
]
GpusPerTrial = Annotated[
    str | None,
    typer.Option(help="GPUs a trial, fractions allowed; auto: as measured. [default: 1 where there are any]"),
]
TimeBudget = Annotated[float | None, typer.Option(help="Minutes, then running trials are put off.")]
TrialTimeLimit = Annotated[float | None, typer.Option(help="Minutes a trial may take before it fails.")]
KeepTop = Annotated[
    int | None, typer.Option(help="Trials of each use case whose checkpoints stay at the end. [default: 5]")
]
Keep = Annotated[
    list[str] | None, typer.Option(metavar="TRIAL|all", help="A trial whose checkpoint stays, too, or all.")
]
Tracker = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="What shows the trials: mlflow, or one of your own. [default: mlflow]"),
]
TrackingUri = Annotated[
    str | None,
    typer.Option(
        envvar=TRACKING_VARIABLE, help="MLflow tracking URI. [default: a SQLite file in the campaign's folder]"
    ),
]
TrackedUri = Annotated[
    str | None,
    typer.Option("--tracking-uri", help="MLflow tracking URI, this once. [default: where the campaign is tracked]"),
]
Address = Annotated[str | None, typer.Option(help="Ray cluster, such as auto. [default: this machine]")]
Scheduler = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Stops trials that fall behind on validation: asha, hyperband or median; or none. [default: asha]",
        autocompletion=completing(schedulers),
    ),
]
Sampler = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Proposes trials: tpe, nsga2, random or grid. [default: tpe]",
        autocompletion=completing("sampler"),
    ),
]
Objective = Annotated[
    list[str] | None,
    typer.Option(
        metavar="METRIC:max|min",
        help="What to optimise, such as val/noise/corr:min; give it again for several at once. [default: the CAGI5"
        " Spearman, or validation's, of what is selected on]",
    ),
]
Resume = Annotated[bool | None, typer.Option("--resume", help="Go on with --out, settings included.")]
PrintSettings = Annotated[bool, typer.Option("--print-settings", help="Print the settings as YAML and stop.")]
