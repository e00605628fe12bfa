"""``rnnreport train``: nets built, trained, tested and recorded as a configuration says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rnnreport.cli import options, outputs
from rnnreport.errors import TerminatedError
from rnnreport.progress import Stage, note

if TYPE_CHECKING:
    from rnnreport.results.folder import RunFolder


@click.command(context_settings=options.ENVIRONMENT)
@click.argument("config", type=click.Path(path_type=Path), metavar="CONFIG.toml")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Run folder to make; by default it has the name of CONFIG. With several seeds, a folder of run folders.",
)
@click.option(
    "--override",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a key of CONFIG, for example training.epochs=5. Repeatable.",
)
@click.option("--report", is_flag=True, help="Analyse and render every run when it is trained.")
@options.max_size
@click.option("--force", is_flag=True, help="Begin anew, in place of an earlier training.")
def train(
    config: Path, out: Path | None, override: tuple[str, ...], report: bool, max_size: float | None, force: bool
) -> None:
    """Train a net as CONFIG.toml says and record every epoch.

    rnnreport/train/README.md describes the configuration. An interrupted training goes on where it stopped when the
    same command is given again, and ends with the same weights.
    """
    from rnnreport.train.data import load_splits
    from rnnreport.train.manager import identity_of, refuse_other_training, refuse_strangers, train_run
    from rnnreport.train.settings import read_settings

    settings = read_settings(config, override)
    out = out or Path(config.stem)
    seeds = settings.training.seeds
    runs = {seed: out / f"seed-{seed}" if len(seeds) > 1 else out for seed in seeds}
    for run in runs.values():
        refuse_strangers(run)
    splits = load_splits(settings.data, config.parent)
    title = settings.name or out.absolute().name
    labels = {seed: f"seed {seed}, " if len(seeds) > 1 else "" for seed in seeds}
    with outputs.training(*runs.values()):
        for seed, run in runs.items():
            if force and run.exists():
                outputs.empty(run)
            refuse_other_training(run, identity_of(settings, splits, seed))
        try:
            folders = [
                train_run(
                    settings,
                    splits,
                    run,
                    seed=seed,
                    name=f"{title}, {labels[seed]}".removesuffix(", "),
                    command=options.command_line(),
                    label=labels[seed],
                )
                for seed, run in runs.items()
            ]
            for folder in folders:
                click.echo(_report(folder, max_size) if report else folder.path)
        except (KeyboardInterrupt, TerminatedError):
            note("the same command goes on where this one stopped")
            raise


def _report(folder: RunFolder, max_size: float | None) -> Path:
    """Make the page of a run that has none yet."""
    from rnnreport.analyses import analyse
    from rnnreport.report import render_report, render_summary_markdown
    from rnnreport.results import store

    page = folder.path / "report.html"
    with outputs.writing(folder.path, wait=True):  # a watch may be at the last epoch
        if not page.is_file():
            analyse(folder)
            with Stage("page"):
                html = render_report(folder)
                store.write_text(folder.path / "summary.md", render_summary_markdown(folder))
            outputs.write_page(html, page, max_size)
    return page
