"""Several labels and quantities on real corpora: nets trained here, reported on by the command, and held against what
each net says about one sequence at a time and what scikit-learn makes of it."""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, log_loss, mean_absolute_error, mean_squared_error, r2_score
from torch import Tensor, nn

from rnnreport import progress
from rnnreport.cli import main
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Checkpoint, Doubles
from rnnreport.results.schema import Performance, Sequences
from tests import task_nets

pytestmark = pytest.mark.corpus

TAGS = ("ADP", "AUX", "CCONJ", "DET", "PRON")  # of few words each, which are known from a small training part
WINDOW = 64


@dataclass(frozen=True)
class Case:
    """A finished run, its net, what was written as its corpus and what the net says about it.

    Attributes
    ----------
    folder : RunFolder
    model : nn.Module
    inputs : list of Tensor, one per sequence
    truths : float64 (N, K), or (S, K) with NaN
    outputs : float64, the same shape: the net, run on one sequence at a time
    """

    folder: RunFolder
    model: nn.Module
    inputs: list[Tensor]
    truths: Doubles
    outputs: Doubles

    @property
    def last(self) -> Checkpoint:
        return self.folder.checkpoint(0)

    @property
    def performance(self) -> Performance:
        found = self.folder.result(Performance)
        assert isinstance(found, Performance)
        return found

    def check(self, name: str) -> str:
        return next(check.verdict for check in self.folder.summary().checks if check.id == name)


@pytest.fixture(scope="module", autouse=True)
def torch_settings():
    """One thread, and a generator that other tests do not notice."""
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture(scope="module")
def tags(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Which of five parts of speech occur in a sentence: trained on one part of UD EWT, reported on the other."""
    rows = [row for row in _rows(data_folder / "ud_ewt" / "ud_ewt_pos.tsv.gz") if len(row[1].split()) > 1]
    sets = [set(row[2].split()) for row in rows]
    truths = np.array([[tag in found for tag in TAGS] for found in sets], np.float64)
    folder = tmp_path_factory.mktemp("tags")
    train = [place for place, row in enumerate(rows) if row[0] == "dev"]
    test = [place for place, row in enumerate(rows) if row[0] == "test"][:130]
    ids = _vocabulary([rows[place][1] for place in train], folder)
    model = task_nets.Labels(1 + len(ids), len(TAGS))
    loss = nn.functional.binary_cross_entropy
    task_nets.train_sentences(model, [_encode(rows[n][1], ids) for n in train], _tensor(truths[train]), loss, 4)
    (folder / "test.tsv").write_text(
        "text\tlabels\n" + "".join(f"{rows[place][1]}\t{'|'.join(sorted(sets[place] & {*TAGS}))}\n" for place in test)
    )
    options = ["--model-arg", f"words={1 + len(ids)}", "--model-arg", f"labels={len(TAGS)}"]
    options += ["--vocabulary", "words.json", "--classes", ",".join(TAGS)]
    run = _run(folder, model, "test.tsv", options)
    return _case(run, model, [_encode(rows[place][1], ids) for place in test], truths[test])


@pytest.fixture(scope="module")
def sentiment(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """The sentiment of a sentence from 0 to 4, and the mean one of its words: trained on one part of SST."""
    rows = _rows(data_folder / "sst" / "sst.tsv.gz")
    truths = np.array([[float(row[1]), np.mean([int(label) for label in row[4].split()])] for row in rows])
    folder = tmp_path_factory.mktemp("sentiment")
    train = [place for place, row in enumerate(rows) if row[0] == "train" and len(row[3].split()) <= 25]
    dev = [place for place, row in enumerate(rows) if row[0] == "dev"][::8]  # they are sorted
    ids = _vocabulary([rows[place][3] for place in train], folder)
    model = task_nets.Scores(1 + len(ids))
    texts = [_encode(rows[place][3], ids) for place in train]
    task_nets.train_sentences(model, texts, _tensor(truths[train]), nn.functional.mse_loss, 3)
    lines = [
        json.dumps({"text": rows[n][3], "target_sentence": truths[n, 0], "target_words": truths[n, 1]}) for n in dev
    ]
    (folder / "dev.jsonl").write_text("\n".join(lines))
    options = ["--model-arg", f"words={1 + len(ids)}", "--vocabulary", "words.json"]
    run = _run(folder, model, "dev.jsonl", options)
    return _case(run, model, [_encode(rows[place][3], ids) for place in dev], truths[dev])


@pytest.fixture(scope="module")
def motion(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """The next value of six channels of a phone: trained on one volunteer, reported on another."""
    folder = tmp_path_factory.mktemp("motion")
    train, test = (
        _recording(data_folder / "har" / f"har_recording_{name}.npz") for name in ("exp01_user01", "exp20_user10")
    )
    windows = np.lib.stride_tricks.sliding_window_view(train, WINDOW + 1, axis=0)[::WINDOW].transpose(0, 2, 1)
    model = task_nets.Next()
    task_nets.train_series(model, _tensor(windows), 6)
    values = test[-16 * WINDOW + 20 :]  # the first window is the shortest
    following = np.concatenate([values[1:], np.full((1, 6), np.nan)])
    lengths = np.array([WINDOW - 20, *[WINDOW] * 15])
    names = np.array(["ax", "ay", "az", "gx", "gy", "gz"])
    arrays = {"values": values, "length": lengths, "step_targets": following}
    np.savez(folder / "end.npz", **arrays, class_names=names, feature_names=names)
    run = _run(folder, model, "end.npz", [])
    pieces = [_tensor(piece) for piece in np.split(values, np.cumsum(lengths)[:-1])]
    return _case(run, model, pieces, following)


@pytest.fixture(params=["tags", "sentiment", "motion"])
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.getfixturevalue(request.param)
    return found


def test_truths_and_outputs_are_those_of_the_corpus_and_of_the_net(case: Case) -> None:
    probe, steps = case.folder.probe(), case.folder.probe().task == "step-regression"
    np.testing.assert_array_equal(probe.truths, case.truths.astype(np.float32))
    recorded = case.last.step_output if steps else case.last.model_output
    np.testing.assert_allclose(recorded, case.outputs, atol=1e-5)
    assert case.check("prediction-verified") == "pass"
    sequences = case.folder.result(Sequences)
    assert isinstance(sequences, Sequences)
    if not steps:
        np.testing.assert_array_equal(sequences.truths, probe.truths[sequences.probe_index])
        np.testing.assert_array_equal(sequences.outputs, recorded[sequences.probe_index])


def test_expected_predictions_are_those_of_the_sequence_cut_there(case: Case) -> None:
    probe, output = case.folder.probe(), case.last.step_output
    known = np.flatnonzero(np.isfinite(output[probe.offsets[:-1]]).all(axis=1))
    assert known.size >= 10
    for sequence in known[:10]:
        recorded = output[probe.offsets[sequence] : probe.offsets[sequence + 1]]
        for step in range(0, len(recorded), 7):
            own = _alone(case.model, case.inputs[sequence][: step + 1])
            own = own[-1:] if probe.task == "step-regression" else own
            np.testing.assert_allclose(recorded[step], own[0], atol=1e-4 if probe.task == "step-regression" else 1e-5)


def test_labels_are_scored_as_scikit_learn_scores_the_net(tags: Case) -> None:
    has, gives, metrics = tags.truths > 0, tags.outputs >= 0.5, tags.performance.metrics
    assert metrics["exact_match"]["value"] == pytest.approx((has == gives).all(axis=1).mean())
    assert metrics["micro_f1"]["value"] == pytest.approx(f1_score(has, gives, average="micro"))
    loss = np.mean([log_loss(has[:, k], tags.outputs[:, k], labels=[False, True]) for k in range(len(TAGS))])
    assert metrics["cross_entropy"]["value"] == pytest.approx(loss, abs=1e-4)
    most = Counter(map(tuple, has.tolist())).most_common(1)[0][1] / len(has)
    assert metrics["majority_share"]["value"] == pytest.approx(most)
    assert metrics["exact_match"]["value"] > most and tags.check("beats-majority") == "pass"
    assert tags.performance.class_names == TAGS
    assert tags.performance.label_counts[:, [0, 2]].sum(axis=1).tolist() == has.sum(axis=0).tolist()


@pytest.mark.parametrize("name", ["sentiment", "motion"])
def test_quantities_are_scored_as_scikit_learn_scores_the_net(name: str, request: pytest.FixtureRequest) -> None:
    case: Case = request.getfixturevalue(name)
    known = np.isfinite(case.truths).all(axis=1)
    truth, output, metrics = case.truths[known], case.outputs[known], case.performance.metrics
    assert metrics["rmse"]["value"] == pytest.approx(np.sqrt(mean_squared_error(truth, output)), rel=1e-4)
    assert metrics["mae"]["value"] == pytest.approx(mean_absolute_error(truth, output), rel=1e-4)
    assert metrics["r2"]["value"] == pytest.approx(r2_score(truth, output, multioutput="variance_weighted"), abs=1e-4)
    mean = np.sqrt(truth.var(axis=0).mean())
    assert metrics["mean_rmse"]["value"] == pytest.approx(mean, rel=1e-4)
    assert metrics["rmse"]["value"] < mean and case.check("beats-mean") == "pass"
    assert metrics["rmse"]["n"] == len(truth) == len(case.truths) - (name == "motion")
    assert case.folder.metrics()[-1]["rmse"] == pytest.approx(metrics["rmse"]["value"])


def test_the_page_and_the_summary_are_there(case: Case) -> None:
    assert (case.folder.path / "report.html").stat().st_size > 100_000
    summary = (case.folder.path / "summary.md").read_text()
    assert case.folder.summary().findings[0]["text"][:20] in summary


def _run(folder: Path, model: nn.Module, corpus: str, options: Sequence[str]) -> RunFolder:
    torch.save(model.state_dict(), folder / "weights.pt")
    shutil.copy(task_nets.__file__, folder / "task_nets.py")
    arguments = ["--model", f"task_nets:{type(model).__name__}", "--weights", "weights.pt", "--corpus", corpus]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(progress, "_QUIET", False)
        patch.setattr("sys.path", list(sys.path))
        assert main(["-q", "run", *arguments, *options, "--budget", "quick", "--out", "run"]) == 0
    return RunFolder.open(folder / "run")


def _case(folder: RunFolder, model: nn.Module, inputs: list[Tensor], truths: Doubles) -> Case:
    outputs = np.concatenate([_alone(model, values) for values in inputs])
    return Case(folder, model, inputs, truths, outputs)


@torch.no_grad()
def _alone(model: nn.Module, values: Tensor) -> Doubles:
    """(1, K) for a sentence, (T, K) for a series."""
    if isinstance(model, task_nets.Next):
        return np.asarray(model(values[None])[0].double().numpy())
    return np.asarray(model(values[None], torch.tensor([len(values)])).double().numpy())


def _rows(path: Path) -> list[list[str]]:
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return [line.split("\t") for line in stream.read().split("\n")[1:] if line]


def _vocabulary(texts: list[str], folder: Path) -> dict[str, int]:
    counts = Counter(word for text in texts for word in text.split())
    ids = {word: n for n, word in enumerate(["<unk>", *(word for word in counts if counts[word] > 1)], start=1)}
    (folder / "words.json").write_text(json.dumps(ids), encoding="utf-8")
    return ids


def _encode(text: str, ids: dict[str, int]) -> Tensor:
    return torch.tensor([ids.get(word, ids["<unk>"]) for word in text.split()])


def _recording(path: Path) -> Doubles:
    with np.load(path) as stored:
        return np.asarray(stored["X"] * stored["scale"])


def _tensor(values: Doubles) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))
