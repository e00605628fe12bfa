"""Run folders in which every text is a payload: tokens, ids, classes, features, metrics, names, commands, versions."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from rnnreport.analyses import analyse
from rnnreport.results import store
from rnnreport.results.folder import RunFolder
from rnnreport.results.provenance import StageCard, write_provenance
from rnnreport.results.recorded import Checkpoint, Probe
from tests.fabricate import fabricate_run
from tests.payloads import TEXTS
from tests.small import ROUGH

MODULE = '"><svg onload=pwned=1>{{ 7*191 }}'
ALL = " ".join(TEXTS)


def hostile_run(path: Path, *, continuous: bool = False) -> RunFolder:
    """An analysed run; with ``continuous`` its inputs have payloads for names, otherwise its tokens are payloads."""
    sequences = 40 if continuous else len(TEXTS) + 7
    folder = fabricate_run(
        path,
        "regression" if continuous else "classification",
        2,
        sequences=sequences,
        units=8,
        steps=(3, 6),
        continuous=continuous,
    )
    folder.write_probe(_named(folder.probe()))
    for epoch in folder.epochs():
        checkpoint = folder.checkpoint(epoch)
        states = {key.replace("lstm", MODULE): state for key, state in checkpoint.states.items()}
        folder.write_checkpoint(replace(checkpoint, states=states))
    manifest = folder.manifest()
    folder.write_manifest(
        replace(
            manifest,
            name=ALL,
            model={**manifest.model, "source": ALL, "cell": TEXTS[13]},
            corpus={**manifest.corpus, "name": ALL, "skipped": dict.fromkeys(TEXTS, 1)},
            state_keys=tuple(key.replace("lstm", MODULE) for key in manifest.state_keys),
            head=ALL,
            versions=dict(zip(TEXTS, TEXTS, strict=True)),
            command=ALL,
        )
    )
    draw = np.random.default_rng(0)
    lines = [{**line, **{name: draw.random() for name in TEXTS}} for line in folder.metrics()]
    (path / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    analyse(folder, params=ROUGH)
    settings = {name: [name, name] for name in TEXTS}
    write_provenance(
        folder, "capture", StageCard(ALL, settings, 1, ALL, ALL, {ALL: ALL}, ALL, True, dict.fromkeys(TEXTS, 1.0))
    )
    return folder


def _named(probe: Probe) -> Probe:
    """With payloads for names; every token occurs about as often as any other."""
    joined = tuple(" ".join(TEXTS[k::4]) for k in range(4))
    named = replace(
        probe,
        sequence_ids=tuple(f"{TEXTS[n % len(TEXTS)]} {n}" for n in range(probe.lengths.size)),
        class_names=joined[: len(probe.class_names)],
        feature_names=tuple(" ".join(TEXTS[k::3]) for k in range(len(probe.feature_names))),
    )
    if probe.continuous:
        return named
    order = np.random.default_rng(0).permutation(probe.tokens.size)
    return replace(named, vocabulary=TEXTS, tokens=(order % len(TEXTS)).astype(np.int32))


def other_answers(run: RunFolder, path: Path) -> RunFolder:
    """A copy of a run whose last predictions belong to other sequences, to compare it with."""
    other = RunFolder(shutil.copytree(run.path, path))
    last = other.checkpoint(other.epochs()[-1])
    other.write_checkpoint(Checkpoint(**{**vars_of(last), "model_output": np.roll(last.model_output, 1, axis=0)}))
    return other


def vars_of(checkpoint: Checkpoint) -> dict[str, object]:
    return {name: getattr(checkpoint, name) for name in asdict(checkpoint)}


def spelled(text: str) -> str:
    """As a page holds it: written as UTF-8, read by an HTML parser, white space collapsed."""
    text = text.encode("utf-8", errors="replace").decode()
    return " ".join(text.replace("\x00", "\ufffd").split())


def summary_of(run: RunFolder, payload: str) -> str:
    """The summary of a run in which a payload stands wherever a text does."""
    summary = run.summary()
    checks = tuple(replace(check, title=payload, text=payload) for check in summary.checks)
    return store.to_json(replace(summary, run=payload, checks=checks, findings=({"text": payload, "anchor": payload},)))
