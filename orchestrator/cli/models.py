"""The commands for models: predict with a trained one, register it, score any model's predictions, look at runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nrtune.orchestrator.cli import formats, option_texts, options
from nrtune.orchestrator.cli.answers import comparisons_of, own_use_cases
from nrtune.orchestrator.cli.panels import KEEP, READ, USE, command, group
from nrtune.trainables.core.errors import UserError

app = group()


@command(app, USE, "nrtune register campaign --name activity")
def register(
    folder: options.Folder,
    name: Annotated[str, typer.Option(help="The registered model; a further version of one that is there.")],
    use_case: Annotated[
        str | None, options.use_case_option("The use case whose winner it is. [default: overall]")
    ] = None,
    ensemble: Annotated[
        Path | None, typer.Option(metavar="FILE.pt", help="What nrtune ensemble --save wrote, in place of a winner.")
    ] = None,
    select_on: options.CampaignSelectOn = None,
    use_cases: options.UseCases = None,
    tracking_uri: options.TrackedUri = None,
) -> None:
    """Put a use case's winner, or an ensemble, into MLflow's model registry, with metrics, intervals and data."""
    from nrtune.orchestrator.views.tables import fitted

    if ensemble is not None:
        from nrtune.analysis.sources.open import open_campaign
        from nrtune.orchestrator.tracking.registry import register_ensemble

        chosen = {"--use-case": use_case, "--select-on": select_on, "--use-cases": use_cases}
        if given := next((flag for flag, value in chosen.items() if value is not None), None):
            raise UserError(f"--ensemble {ensemble}: was chosen when it was saved; leave {given} out")
        typer.echo(fitted(register_ensemble(open_campaign(folder), ensemble, name, tracking_uri)))
        return
    from nrtune.orchestrator.tracking.registry import register as put

    use_case = use_case or "overall"
    comparisons = comparisons_of(str(folder), select_on, use_cases, use_case)
    typer.echo(fitted(put(comparisons, use_case, name, tracking_uri)))


@command(
    app,
    USE,
    "nrtune predict campaign --vcf variants.vcf --fasta genome.fa",
    "nrtune predict ensemble.pt --fasta-sequences sequences.fa",
)
def predict(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="DIR|FILE",
            readable=False,  # what can't be read is said as all else that is wrong with files
            help="The campaign's folder; or a file of nrtune ensemble --save, or a trial's best.pt.",
        ),
    ],
    use_case: Annotated[
        str | None, options.use_case_option("The use case whose winner predicts. [default: overall]")
    ] = None,
    vcf: Annotated[Path | None, typer.Option(readable=False, help="Variants: a VCF, plain or packed.")] = None,
    fasta: Annotated[
        Path | None, typer.Option(readable=False, help="The genome that they are on: FASTA, plain or bgzipped.")
    ] = None,
    fasta_sequences: Annotated[
        Path | None,
        typer.Option(
            readable=False, help="Plain sequences instead: FASTA, a record a sequence, whole or inserts alone."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="A .vcf or .vcf.gz, with a .parquet beside it; of sequences a .csv or .parquet."
            " [default: NAME.nrtune.vcf.gz or NAME.nrtune.csv]"
        ),
    ] = None,
    both_strands: Annotated[
        bool | None,
        typer.Option(
            "--both-strands/--one-strand",
            help="Mean of both strands' predictions, or that of the strand given. [default: as the model was scored]",
        ),
    ] = None,
    raw: Annotated[
        bool,
        typer.Option("--raw", help="The model's own output, on the scale that its loss gave it, not log2(RNA/DNA)."),
    ] = False,
    trial: Annotated[str | None, typer.Option(help="This trial predicts, whatever won.")] = None,
    ensemble: Annotated[
        int | None, typer.Option(min=2, help="Mean of so many of the use case's best trials, by selection data.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda. [default: a GPU if there is one]")] = None,
    accept: options.Accept = None,
    select_on: options.CampaignSelectOn = None,
    use_cases: options.UseCases = None,
) -> None:
    """Predict effects of the variants of a VCF, or the activity of sequences, with a use case's winner or a file's model.

    An effect is log2(RNA/DNA) with the alternative less that with the reference, each in a window with the variant in the
    middle, insertions and deletions left-aligned. Inserts are put between the adapters that the model was trained with. A
    model's own output is brought to that scale by the affine map that fits its validation data. After
    `nrtune replicate` an effect is the mean over the winner's replicates, with a 95 % interval of their spread; so with
    --ensemble over the trials, and of a file of `nrtune ensemble --save` over its members. Alleles that can't be
    predicted are counted, by reason.
    """
    from nrtune.orchestrator.inference.predict import check_options, run_sequences, run_vcf
    from nrtune.orchestrator.inference.predictor import predictor_of

    accepted = option_texts.all_of(accept) or ()
    check_options(vcf, fasta, fasta_sequences, out, accepted)
    predictor = predictor_of(
        source,
        use_case,
        trial=trial,
        ensemble=ensemble,
        select_on=select_on,
        use_cases=own_use_cases(use_cases),
        both_strands=both_strands,
        raw=raw,
        device=device,
    )
    if vcf is not None and fasta is not None:
        run_vcf(vcf, fasta, out, predictor, accepted)
    elif fasta_sequences is not None:
        run_sequences(fasta_sequences, out, predictor)


@command(app, KEEP, "nrtune import-published published_trials.csv --out study", name="import-published")
def import_published(
    table: Annotated[Path, typer.Argument(metavar="published_trials.csv", help="The study's table.")],
    out: Annotated[Path, typer.Option(help="The campaign's folder, to be made.")],
) -> None:
    """Make a campaign folder of the study's own table, so that every command and the MLflow UI work on it."""
    from nrtune.analysis.wording import shell_path
    from nrtune.orchestrator.campaign.import_published import import_published as import_table

    count, folder = import_table(table, out, lambda sentence: typer.echo(sentence, err=True)), shell_path(out)
    typer.echo(f"{count} trials\n  winners: nrtune best {folder}\n  MLflow: nrtune ui {folder}", err=True)


@command(app, USE, "nrtune score predictions.csv --cagi5 cagi5/", "nrtune score first.csv second.csv --cagi5 cagi5/")
def score(
    predictions: Annotated[Path, typer.Argument(metavar="PREDICTIONS", help="CSV, TSV (plain or .gz) or Parquet.")],
    other: Annotated[
        Path | None, typer.Argument(metavar="OTHER", help="A second such file, to compare the first with.")
    ] = None,
    cagi5: options.Cagi5 = None,
    satmut: options.Satmut = None,
    benchmark: options.Benchmark = None,
    test: Annotated[bool, typer.Option("--test", help="Score a table of test predictions instead.")] = False,
    cell_line: options.FolderCellLine = None,
    accept: options.Accept = None,
    resamples: Annotated[int, typer.Option(help="Resamples an interval is made from.")] = 10_000,
    block: Annotated[
        int | None,
        typer.Option(help="Base pairs of a block of variants that is drawn. [default: chosen from the data]"),
    ] = None,
    format: formats.Asked = None,
    json: formats.AsJson = False,
) -> None:
    """Score any model's predictions as nrtune scores its own, with 95 % intervals; two files are compared.

    With --cagi5, --satmut or --benchmark columns element, pos, ref, alt, variant_effect and, if there, chrom; with --test
    prediction, activity and, if there, aleatoric_std and cluster (rows of one are drawn together). Other columns do not matter.
    """
    from nrtune.analysis.uncertainty.intervals import Resampling
    from nrtune.orchestrator.views.data_check import read_variants
    from nrtune.orchestrator.views.score import check_options, score_tests, score_text

    form = formats.chosen(format, json)
    short = {name: path for name, path in (("cagi5", cagi5), ("satmut", satmut)) if path is not None}
    named = option_texts.paths_of(benchmark) or {}
    if twice := short.keys() & named.keys():
        raise UserError(f"--{min(twice)} and --benchmark {min(twice)}=… name it twice; give one of them")
    benchmarks = {**short, **named}
    check_options(benchmarks, test, cell_line)
    accepted = option_texts.all_of(accept) or ()
    how = Resampling(resamples=resamples, block=block)
    paths = [predictions] if other is None else [predictions, other]
    for name, path in benchmarks.items():
        typer.echo(score_text(paths, read_variants(name, path, cell_line), path, how, form=form, accept=accepted))
    if test:
        typer.echo(score_tests(paths, how, form=form, accept=accepted))


@command(app, READ, "nrtune ui campaign")
def ui(
    folder: options.Folder,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 5000,
    optuna: Annotated[bool, typer.Option("--optuna", help="Optuna's dashboard instead: studies, importances.")] = False,
    write: Annotated[
        bool, typer.Option("--write", help="Let the pages change notes and tags, and delete. [default: they only show]")
    ] = False,
) -> None:
    """Serve the campaign's MLflow UI on loopback until Ctrl-C, to whoever opens the link that it prints."""
    from nrtune.orchestrator.cli.serve import serve_mlflow, serve_optuna

    if optuna:
        serve_optuna(folder, port, write=write)
    else:
        serve_mlflow(folder, port, write=write)
