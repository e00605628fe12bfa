"""The callback for the Hugging Face Trainer, in trainings by that Trainer, without its hub."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import EarlyStoppingCallback, Trainer, TrainerCallback, TrainingArguments

from rnnreport import InputError, RecordingWarning, RunFolder, load_corpus
from rnnreport.integrations.huggingface import RecorderCallback
from rnnreport.load.corpus import Corpus

torch.set_num_threads(1)

# what the libraries warn about in themselves
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:UserWarning:transformers.*"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning:transformers.*"),
    pytest.mark.filterwarnings("ignore:.*:UserWarning:torch.utils.data.*"),
]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.emb, self.rnn, self.fc = nn.Embedding(10, 5), nn.GRU(5, 6, batch_first=True), nn.Linear(6, 2)

    def forward(self, input_ids: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        logits = self.fc(self.rnn(self.emb(input_ids))[0][:, -1])
        return (
            {"logits": logits}
            if labels is None
            else {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}
        )


class Watch(TrainerCallback):
    """The states at the end of each epoch, by torch alone."""

    def __init__(self, first: Tensor) -> None:
        self.first = first
        self.states: list[Tensor] = []

    def on_epoch_end(self, *_: Any, **kwargs: Any) -> None:
        net = kwargs["model"]
        with torch.no_grad():
            self.states.append(net.rnn(net.emb(self.first))[0][0])


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    rng = random.Random(0)
    rows = [f"{n % 2}\t{' '.join(rng.choice('abcdefgh') for _ in range(5))}\n" for n in range(12)]
    (tmp_path / "a.tsv").write_text("label\ttext\n" + "".join(rows))
    return load_corpus(tmp_path / "a.tsv")


def accuracy(prediction: Any) -> dict[str, float]:
    return {"accuracy": float((prediction.predictions.argmax(1) == prediction.label_ids).mean())}


def train(
    corpus: Corpus,
    folder: Path,
    callbacks: list[Any],
    epochs: int = 2,
    eval_sets: int = 1,
    resume: bool = False,
    **options: Any,
) -> Trainer:
    torch.manual_seed(0)
    rows = [
        {"input_ids": torch.from_numpy(tokens).long(), "labels": int(label)}
        for tokens, label in zip(corpus.inputs, corpus.labels, strict=True)
    ]
    given = {"eval_strategy": "epoch", "logging_strategy": "epoch", "save_strategy": "no"} | options
    arguments = TrainingArguments(
        output_dir=str(folder / "trainer"),
        num_train_epochs=epochs,
        per_device_train_batch_size=4,
        learning_rate=0.05,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        **given,
    )
    trainer = Trainer(
        Net(),
        arguments,
        train_dataset=rows,
        eval_dataset=rows if eval_sets == 1 else {f"set{n}": rows[n::eval_sets] for n in range(eval_sets)},
        compute_metrics=accuracy,
        callbacks=callbacks,
    )
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def check(folder: RunFolder, trainer: Trainer, watch: Watch) -> None:
    """Every epoch has the states of its end, and the numbers that the trainer has in its log."""
    for line, epoch, states in zip(folder.metrics(), folder.epochs(), watch.states, strict=True):
        for entry in trainer.state.log_history:
            if entry["epoch"] == epoch:
                assert all(entry[name] == value for name, value in line.items() if name in entry)
        recorded = folder.checkpoint(epoch).states["rnn.0.fwd.h"][:5]
        np.testing.assert_allclose(recorded, states.numpy(), atol=1e-6)
    assert not torch.equal(watch.states[0], watch.states[-1])


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, {"loss", "grad_norm", "learning_rate", "eval_loss", "eval_accuracy"}),
        ({"eval_strategy": "no"}, {"loss", "grad_norm", "learning_rate"}),
        ({"logging_strategy": "no"}, {"eval_loss", "eval_accuracy"}),
        (
            {"logging_strategy": "no", "eval_sets": 3},
            {f"eval_set{n}_{name}" for n in range(3) for name in ("loss", "accuracy")},
        ),
        (
            {"eval_strategy": "no", "logging_strategy": "steps", "logging_steps": 2},
            {"loss", "grad_norm", "learning_rate"},
        ),
        ({"eval_strategy": "no", "logging_strategy": "no"}, {"accuracy", "cross_entropy"}),
    ],
)
def test_every_epoch_with_its_metrics(options: dict[str, Any], names: set[str], corpus: Corpus, tmp_path: Path) -> None:
    watch = Watch(torch.from_numpy(corpus.inputs[0]).long()[None])
    trainer = train(corpus, tmp_path, [RecorderCallback(corpus, tmp_path / "run"), watch], **options)
    folder = RunFolder.open(tmp_path / "run")
    assert folder.epochs() == [1, 2]
    assert [line.keys() - {"epoch", "wall_s"} for line in folder.metrics()] == [names, names]
    check(folder, trainer, watch)


def test_a_recorded_training_is_the_same_training(corpus: Corpus, tmp_path: Path) -> None:
    recorded = train(corpus, tmp_path, [RecorderCallback(corpus, tmp_path / "run")]).model
    alone = train(corpus, tmp_path, []).model
    for one, other in zip(recorded.parameters(), alone.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_training_in_mixed_precision_is_recorded_in_that_of_the_weights(corpus: Corpus, tmp_path: Path) -> None:
    """The trainer puts an autocast around the forward of the model."""
    watch = Watch(torch.from_numpy(corpus.inputs[0]).long()[None])
    trainer = train(corpus, tmp_path, [RecorderCallback(corpus, tmp_path / "run"), watch], bf16=True)
    folder = RunFolder.open(tmp_path / "run")
    assert "“fc”" in folder.manifest().head
    check(folder, trainer, watch)
    alone = train(corpus, tmp_path, [], bf16=True).model
    for one, other in zip(trainer.model.parameters(), alone.parameters(), strict=True):
        assert torch.equal(one, other)


def test_every_second_epoch_and_the_last(corpus: Corpus, tmp_path: Path) -> None:
    train(corpus, tmp_path, [RecorderCallback(corpus, tmp_path / "run", every=2)], epochs=3)
    assert RunFolder.open(tmp_path / "run").epochs() == [2, 3]


def test_the_last_epoch_is_recorded_before_a_better_model_is_loaded(corpus: Corpus, tmp_path: Path) -> None:
    watch = Watch(torch.from_numpy(corpus.inputs[0]).long()[None])
    best = {"load_best_model_at_end": True, "metric_for_best_model": "eval_loss", "greater_is_better": True}
    callbacks = [RecorderCallback(corpus, tmp_path / "run"), watch]
    trainer = train(corpus, tmp_path, callbacks, save_strategy="epoch", **best)
    assert trainer.state.best_global_step < trainer.state.global_step  # the greatest loss is that of the first epoch
    folder = RunFolder.open(tmp_path / "run")
    assert folder.epochs() == [1, 2]
    check(folder, trainer, watch)


def test_an_epoch_at_which_the_training_is_stopped(corpus: Corpus, tmp_path: Path) -> None:
    best = {"metric_for_best_model": "eval_loss", "greater_is_better": True, "save_strategy": "epoch"}
    callbacks = [RecorderCallback(corpus, tmp_path / "run", every=4), EarlyStoppingCallback(1)]
    trainer = train(corpus, tmp_path, callbacks, epochs=9, load_best_model_at_end=True, **best)
    assert (trainer.state.epoch, RunFolder.open(tmp_path / "run").epochs()) == (2, [2])


def test_a_begun_epoch_counts_as_one(corpus: Corpus, tmp_path: Path) -> None:
    """Three batches are an epoch; the third epoch ends after the first of them."""
    trainer = train(corpus, tmp_path, [RecorderCallback(corpus, tmp_path / "run")], max_steps=7, logging_steps=1)
    assert 2 < trainer.state.epoch < 3
    assert RunFolder.open(tmp_path / "run").epochs() == [1, 2, 3]


def test_a_training_that_goes_on_from_a_checkpoint(corpus: Corpus, tmp_path: Path) -> None:
    train(corpus, tmp_path, [RecorderCallback(corpus, tmp_path / "run")], save_strategy="epoch")
    before = RunFolder.open(tmp_path / "run").metrics()
    train(corpus, tmp_path, [RecorderCallback(corpus, tmp_path / "run")], epochs=3, resume=True)
    folder = RunFolder.open(tmp_path / "run")
    assert folder.epochs() == [1, 2, 3]
    assert folder.metrics()[:2] == before


def test_a_failing_recording_does_not_stop_the_trainer(corpus: Corpus, tmp_path: Path, monkeypatch: Any) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rnnreport.results.store.os.replace", full)
    with pytest.warns(RecordingWarning, match="No space left"):
        trainer = train(corpus, tmp_path, [RecorderCallback(corpus, tmp_path / "run")])
    assert trainer.state.epoch == 2


def test_a_head_that_is_not_there_is_told_before_training(corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        train(corpus, tmp_path, [RecorderCallback(corpus, tmp_path / "run", head="nowhere")])
