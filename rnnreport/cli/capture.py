"""``rnnreport capture`` and ``rnnreport run``: a model and a corpus in, a run folder out."""

from __future__ import annotations

import glob
import os
import re
import time
import webbrowser
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnnreport.cli import options, outputs, provenance, settings
from rnnreport.errors import InputError
from rnnreport.progress import Stage, stage_seconds

if TYPE_CHECKING:
    from rnnreport.budget import Budget
    from rnnreport.parallel import Spread
    from rnnreport.results.folder import RunFolder


@options.capture_command
@options.scheduler
def capture(out: Path, force: bool, scheduler: str | None, **given: Any) -> None:
    """Record a model's states on a corpus."""
    from rnnreport.parallel import spreading

    with outputs.new_folder(out, force, marker="run.json") as building, spreading(scheduler) as spread:
        _capture(building, spread=spread, name=given.pop("name") or out.absolute().name, **given)
    click.echo(out)


@options.capture_command
@click.option("--baseline", type=click.Path(path_type=Path), metavar="RUN2", help="Run to compare with.")
@options.mmphate_nodes
@options.max_size
@options.scheduler
@click.option("--open", is_flag=True, help="Open the page in the browser; never where CI is set.")
def run(
    out: Path,
    force: bool,
    baseline: Path | None,
    mmphate_nodes: int | None,
    max_size: float | None,
    scheduler: str | None,
    open: bool,
    **given: Any,
) -> None:
    """Capture, analyse and render in one go."""
    from rnnreport.analyses import AnalysisParams, SummaryParams, analyse
    from rnnreport.parallel import spreading
    from rnnreport.report import render_report, render_summary_markdown
    from rnnreport.results import store
    from rnnreport.results.folder import RunFolder

    compared = RunFolder.open(baseline) if baseline else None
    params = AnalysisParams.of_mmphate(nodes=mmphate_nodes)
    params = replace(params, summary=SummaryParams(policy=settings.policy()))
    with (
        outputs.new_folder(out, force, marker="run.json") as building,
        outputs.reading(*filter(None, [baseline])),
        spreading(scheduler) as spread,
    ):
        folder = _capture(building, spread=spread, name=given.pop("name") or out.absolute().name, **given)
        analyse(folder, compared, params, card=partial(provenance.card, threads=1), spread=spread)
        with Stage("page"):
            page = render_report(folder)
            store.write_text(building / "summary.md", render_summary_markdown(folder))
        refusal = _write(page, building / "report.html", max_size)
    if refusal:
        raise refusal
    click.echo(out / "report.html")
    if open and not os.environ.get("CI"):
        webbrowser.open((out / "report.html").absolute().as_uri())


def _write(page: str, target: Path, max_size: float | None) -> outputs.PageTooLargeError | None:
    """A page that is too large must not cost the capture and the analyses before it."""
    try:
        outputs.write_page(page, target, max_size)
    except outputs.PageTooLargeError as error:
        return error
    return None


def _capture(
    path: Path,
    *,
    model: str,
    model_arg: tuple[str, ...],
    model_args: Path | None,
    weights: Path | None,
    checkpoints: str | None,
    safe_global: tuple[str, ...],
    corpus: Path,
    tokenizer: str,
    vocabulary: Path | None,
    classes: tuple[str, ...] | None,
    sentence: tuple[str, ...],
    pos: str | None,
    sequence_length: int,
    head: str | None,
    adapter: str | None,
    layer: tuple[str, ...],
    name: str,
    max_steps: int,
    budget: Budget,
    seed: int,
    spread: Spread,
) -> RunFolder:
    import torch

    from rnnreport.capture.run import capture_run
    from rnnreport.load.arguments import parse_arguments, read_arguments
    from rnnreport.load.checkpoints import allowing, weights_file
    from rnnreport.load.corpus import load_corpus
    from rnnreport.load.importing import import_callable
    from rnnreport.load.model import load_model
    from rnnreport.load.sentences import read_sentences
    from rnnreport.results.folder import RunFolder
    from rnnreport.results.provenance import write_provenance

    arguments = (read_arguments(model_args) if model_args else {}) | parse_arguments(model_arg)
    weights = weights_file(weights) if weights else None
    earlier = _checkpoints(checkpoints, weights) if checkpoints else []
    data = load_corpus(
        corpus, tokenizer=tokenizer, vocabulary=vocabulary, sequence_length=sequence_length, classes=classes
    )
    folder = RunFolder(path)
    stage_seconds()  # those of an earlier command in this process are not ours
    start = time.monotonic()
    with allowing(safe_global):
        loaded = load_model(model, arguments, weights)
        capture_run(
            loaded,
            data,
            folder,
            name=name,
            source=model,
            weights=weights,
            checkpoints=earlier,
            head=import_callable(head, "head") if head and ":" in head else head,
            adapter=import_callable(adapter, "adapter") if adapter else None,
            layers=layer,
            sentences=read_sentences(sentence, tokenizer, data) if sentence else None,
            tagger=import_callable(pos, "part-of-speech function") if pos else None,
            max_steps=max_steps,
            budget=budget,
            seed=seed,
            command=options.command_line(),
            spread=spread,
        )
    device = str(next((each.device for each in loaded.parameters()), "cpu"))
    card = provenance.card(threads=torch.get_num_threads(), device=device, capture=time.monotonic() - start)
    write_provenance(folder, "capture", card)
    return folder


def _checkpoints(pattern: str, weights: Path | None) -> list[Path]:
    """The files of a pattern. The last epoch's is the model that is reported, so ``weights`` may only be its copy."""
    from rnnreport.capture.run import epochs_of
    from rnnreport.load.checkpoints import weights_file
    from rnnreport.load.files import sha256_of

    matching = sorted(glob.glob(pattern), key=_by_numbers)  # noqa: PTH207  # Path.glob takes only relative patterns
    found = [weights_file(Path(name)) for name in matching]
    if not found:
        raise InputError(f"no file matches --checkpoints {pattern}", "quote the pattern, so that the shell leaves it")
    last = epochs_of(found)[-1][1]
    if weights and sha256_of(weights) != sha256_of(last):
        raise InputError(
            f"--weights {weights} differs from {last}, the last of --checkpoints",
            "the last checkpoint is what is reported: leave out --weights, or add its file to the checkpoints",
        )
    return found


def _by_numbers(name: str) -> list[str | int]:
    """Sorts step-90 before step-100, also where the number is in the name of a folder."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]
