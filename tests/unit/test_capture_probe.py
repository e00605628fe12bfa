"""The probe set: which sequences, which targets, which hash."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from rnnreport.capture.probe import make_probe, probe_sha256
from rnnreport.load.corpus import Corpus, load_corpus


def text_corpus(folder: Path, rows: int = 40) -> Corpus:
    path = folder / "a.tsv"
    path.write_text("label\ttext\n" + "".join(f"{n % 2}\t{'w ' * (n % 5 + 1)}x{n}\n" for n in range(rows)))
    return load_corpus(path)


def test_all_sequences_where_they_fit(tmp_path: Path) -> None:
    corpus = text_corpus(tmp_path)
    probe = make_probe(corpus)
    assert probe.sequence_ids == corpus.sequence_ids
    np.testing.assert_array_equal(probe.tokens, np.concatenate(corpus.inputs))
    np.testing.assert_array_equal(probe.labels, corpus.labels)
    assert probe.sampled_from == 40
    assert probe.targets.size == 0


def test_sample_is_the_smallest_hashes_in_corpus_order(tmp_path: Path) -> None:
    corpus = text_corpus(tmp_path)
    probe = make_probe(corpus, max_steps=50)
    ranked = sorted(corpus.sequence_ids, key=lambda name: hashlib.sha256(name.encode()).digest())
    count = len(probe.sequence_ids)
    assert set(probe.sequence_ids) == set(ranked[:count])
    assert list(probe.sequence_ids) == [name for name in corpus.sequence_ids if name in probe.sequence_ids]
    following = corpus.sequence_ids.index(ranked[count])
    assert probe.lengths.sum() <= 50 < probe.lengths.sum() + len(corpus.inputs[following])
    first = corpus.sequence_ids.index(probe.sequence_ids[3])
    np.testing.assert_array_equal(probe.tokens[probe.offsets[3] : probe.offsets[4]], corpus.inputs[first])
    assert probe.labels[3] == corpus.labels[first]


def test_one_sequence_at_least(tmp_path: Path) -> None:
    assert len(make_probe(text_corpus(tmp_path), max_steps=0).lengths) == 1


def test_language_model_targets_run_on_across_sequences(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(" ".join(f"t{n}" for n in range(50)))
    corpus = load_corpus(path, sequence_length=8)
    stream = np.concatenate(corpus.inputs)
    np.testing.assert_array_equal(make_probe(corpus).targets, [*stream[1:], -1])
    sample = make_probe(corpus, max_steps=24)
    assert len(sample.lengths) == 3
    for token, target in zip(sample.tokens, sample.targets, strict=True):
        place = stream.tolist().index(token)
        assert target == (stream[place + 1] if place + 1 < len(stream) else -1)


def test_hash_changes_with_what_is_compared_and_with_nothing_else(tmp_path: Path) -> None:
    probe = make_probe(text_corpus(tmp_path))
    own = probe_sha256(probe)
    assert own == probe_sha256(replace(probe, sampled_from=7))
    permuted = np.random.default_rng(0).permutation(len(probe.vocabulary))
    other_ids = replace(
        probe,
        tokens=np.argsort(permuted)[probe.tokens].astype(np.int32),
        vocabulary=tuple(probe.vocabulary[number] for number in permuted),
    )
    assert probe_sha256(other_ids) == own
    swapped = (probe.sequence_ids[1], probe.sequence_ids[0], *probe.sequence_ids[2:])
    changed = [
        replace(probe, sequence_ids=swapped),
        replace(probe, labels=1 - probe.labels),
        replace(probe, tokens=np.roll(probe.tokens, 1)),
        replace(probe, class_names=("1", "0")),
        replace(probe, lengths=np.concatenate([probe.lengths[1::-1], probe.lengths[2:]])),
    ]
    hashes = {probe_sha256(other) for other in changed}
    assert len(hashes) == len(changed)
    assert own not in hashes


def test_hash_of_series_sees_every_value(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", X=np.zeros((2, 3, 1)))
    probe = make_probe(load_corpus(tmp_path / "a.npz"))
    values = probe.values.copy()
    values[-1] = 1e-30
    assert probe_sha256(replace(probe, values=values)) != probe_sha256(probe)


def test_truths_follow_the_sample_and_enter_the_hash(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    lengths = np.array([4, 2, 3])
    targets = draw.normal(size=(9, 2))
    targets[3] = np.nan
    np.savez(tmp_path / "a.npz", values=np.zeros((9, 1)), length=lengths, step_targets=targets)
    corpus = load_corpus(tmp_path / "a.npz")
    probe, sample = make_probe(corpus), make_probe(corpus, max_steps=6)
    np.testing.assert_array_equal(probe.truths, targets.astype(np.float32))
    pieces = dict(zip(corpus.sequence_ids, np.split(targets, [4, 6]), strict=True))
    expected = np.concatenate([pieces[name] for name in sample.sequence_ids])
    np.testing.assert_array_equal(sample.truths, expected.astype(np.float32))
    assert len(sample.sequence_ids) < 3
    other_nan = np.where(np.isnan(probe.truths), -np.float32(np.nan), probe.truths)
    assert probe_sha256(replace(probe, truths=other_nan)) == probe_sha256(probe)
    changed = probe.truths.copy()
    changed[-1, -1] += 1e-3
    assert probe_sha256(replace(probe, truths=changed)) != probe_sha256(probe)
    assert probe_sha256(replace(probe, truths=probe.truths[:, ::-1])) != probe_sha256(probe)


def test_labels_of_a_sequence_are_a_row_of_truths(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("text\tlabels\n" + "".join(f"w x{n}\t{'|'.join('ab'[: n % 3])}\n" for n in range(30)))
    probe = make_probe(load_corpus(path), max_steps=20)
    assert probe.truths.shape == (10, 2) and probe.truths.dtype == np.float32
    for name, truth in zip(probe.sequence_ids, probe.truths, strict=True):
        assert truth.sum() == (int(name.split()[1]) - 2) % 3
