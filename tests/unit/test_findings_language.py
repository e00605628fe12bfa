"""What Ming et al. (VAST 2017) report of language models, on WikiText-2 (rnnvis.md, 23 to 25 and 30).

Three nets of 128 units, trained for eight epochs on 74,000 tokens of one part, read 60,000 tokens of another in ten
streams, the state carried along. About two minutes on one core.
"""

from __future__ import annotations

import gzip
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from rnnreport.analyses.cocluster import CoclusterParams, cocluster
from rnnreport.analyses.responses import kept_rate_summary, word_responses
from rnnreport.formulas import changes, kept_rates

pytestmark = pytest.mark.corpus

UNITS, STREAMS, UNROLL, EPOCHS, WORDS = 128, 20, 35, 8, 300
OFTEN = 10  # occurrences that make a word known; with 3 there are thrice as many, and the head costs more than the rest
PREPOSITIONS = ("of", "in", "for", "from", "by", "at", "with", "on")
MODALS = ("would", "could", "may", "might", "should", "will", "can")
STATES = ("RNN h", "GRU h", "LSTM h", "LSTM c")


class Language(nn.Module):
    """Embedding, one recurrent layer, a head; dropout around the layer."""

    def __init__(self, kind: str, words: int) -> None:
        super().__init__()
        self.kind = kind
        self.embedding, self.drop = nn.Embedding(words, UNITS), nn.Dropout(0.4)
        self.rnn = getattr(nn, kind)(UNITS, UNITS)
        self.head = nn.Linear(UNITS, words)

    def forward(self, tokens: torch.Tensor, state: object = None) -> tuple[torch.Tensor, object]:
        """Scores (T, B, V) of the next token, and the state to go on from."""
        found, state = self.rnn(self.drop(self.embedding(tokens)), state)
        return self.head(self.drop(found)), state


@dataclass(frozen=True)
class Reading:
    """Words and, by name, states of the test part, and kept rates of an untrained net."""

    words: dict[str, int]
    counts: np.ndarray
    responses: dict[str, np.ndarray]
    other_streams: dict[str, np.ndarray]
    kept: dict[str, float]
    untrained: dict[str, float]


def tokens_of(folder: Path, part: str, most: int) -> list[str]:
    text = gzip.decompress((folder / "wikitext2" / f"wiki.{part}.txt.gz").read_bytes()).decode("utf-8")
    lines = [line.lower().split() for line in text.split("\n")]
    return [token for line in lines if line for token in (*line, "<eos>")][:most]


def train(model: Language, tokens: np.ndarray) -> None:
    optimiser = torch.optim.Adam(model.parameters(), 1e-3 if model.kind == "RNN" else 3e-3)
    streams = torch.from_numpy(tokens[: tokens.size // STREAMS * STREAMS].reshape(STREAMS, -1).T.copy())
    for _ in range(EPOCHS):
        state: object = None
        for start in range(0, len(streams) - 1, UNROLL):
            target = streams[start + 1 : start + 1 + UNROLL]
            if isinstance(state, tuple):
                state = tuple(part.detach() for part in state)
            elif isinstance(state, torch.Tensor):
                state = state.detach()
            scores, state = model(streams[start : start + len(target)], state)
            loss = nn.functional.cross_entropy(scores.flatten(0, 1), target.flatten())
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()


def states_of(
    model: Language, tokens: np.ndarray, streams: int
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Name to states (S, H), the ends of the streams (streams + 1,), and the tokens read (S,)."""
    length = tokens.size // streams
    read = tokens[: length * streams]
    with torch.no_grad():
        inputs = model.embedding(torch.from_numpy(read).view(streams, length)).transpose(0, 1)
        if model.kind == "LSTM":
            cell = nn.LSTMCell(UNITS, UNITS)
            cell.load_state_dict({name.removesuffix("_l0"): value for name, value in model.rnn.state_dict().items()})
            both, found = None, []
            for step in inputs:
                both = cell(step, both)
                found.append(both)
            vectors = {"LSTM h": torch.stack([h for h, _ in found]), "LSTM c": torch.stack([c for _, c in found])}
        else:
            vectors = {f"{model.kind} h": model.rnn(inputs)[0]}
    flat = {name: vector.transpose(0, 1).reshape(-1, UNITS).numpy() for name, vector in vectors.items()}
    return flat, np.arange(0, read.size + 1, length), read


@pytest.fixture(scope="module")
def reading(data_folder: Path) -> Reading:
    torch.set_num_threads(1)
    known = tokens_of(data_folder, "valid", 74_000)
    vocabulary = ["<unk>", *(word for word, n in Counter(known).items() if n >= OFTEN and word != "<unk>")]
    number = {word: place for place, word in enumerate(vocabulary)}
    train_ids, test_ids = (
        np.array([number.get(word, 0) for word in tokens]) for tokens in (known, tokens_of(data_folder, "test", 60_000))
    )
    counts = np.bincount(test_ids, minlength=len(vocabulary))
    top = np.argsort(-counts, kind="stable")[:WORDS]
    place = np.full(len(vocabulary), -1, np.int32)
    place[top] = np.arange(WORDS)
    found = Reading({vocabulary[word]: n for n, word in enumerate(top)}, counts[top], {}, {}, {}, {})
    with torch.random.fork_rng(devices=[]):
        for kind in ("RNN", "GRU", "LSTM"):
            torch.manual_seed(0)
            model = Language(kind, len(vocabulary))
            untrained, ends, _ = states_of(model.eval(), test_ids, 10)
            found.untrained.update({name: kept(states, ends) for name, states in untrained.items()})
            train(model.train(), train_ids)
            for streams, responses in ((10, found.responses), (5, found.other_streams)):
                states, ends, read = states_of(model.eval(), test_ids, streams)
                for name, vector in states.items():
                    responses[name] = word_responses(changes(vector, ends), place[read], WORDS).mean
                    if streams == 10:
                        found.kept[name] = kept(vector, ends)
    return found


def kept(states: np.ndarray, ends: np.ndarray) -> float:
    return float(kept_rate_summary(kept_rates(states, ends))[0])


def test_the_trained_cell_keeps_most_then_gru_rnn_and_the_hidden_state_of_the_lstm(reading: Reading) -> None:
    rates = reading.kept
    assert rates["LSTM c"] > rates["GRU h"] > rates["RNN h"] > rates["LSTM h"]
    assert rates["LSTM c"] > 0.85
    assert reading.untrained["LSTM c"] < 0.7  # the training makes the memory, not the architecture alone


@pytest.mark.parametrize("state", STATES)
def test_she_is_answered_like_he_and_not_like_for(reading: Reading, state: str) -> None:
    he, she, other = (reading.responses[state][reading.words[word]] for word in ("he", "she", "for"))

    def cosine(one: np.ndarray, two: np.ndarray) -> float:
        return float(one @ two / np.linalg.norm(one) / np.linalg.norm(two))

    assert cosine(he, she) >= cosine(he, other) + 0.3


@pytest.mark.parametrize("state", STATES)
def test_prepositions_share_a_cloud(reading: Reading, state: str) -> None:
    """Six of eight prepositions (four for the cell) are together, as published.

    The published clouds of modals are not found here: the corpus has too few of them. Four of the seven are among the
    300 words ("might" occurs 5 times in 60,000 tokens, "should" 11, "will" 15), and two or three of these share a cloud
    other than that of the prepositions. Analysing 600 to 1,000 words brings six of the seven in, of which one to four
    share such a cloud (one net of each kind, to which words were known from three occurrences on); of the prepositions
    4 to 8 stay together.
    """
    found = cocluster(reading.responses[state], CoclusterParams(modes=("raw",), ks=(10,)))
    labels = found.row_labels[0, 0]
    [(_, shared)] = Counter(labels[[reading.words[word] for word in PREPOSITIONS]].tolist()).most_common(1)
    assert shared >= (4 if state == "LSTM c" else 6)
    assert sum(word in reading.words for word in MODALS) == 4


@pytest.mark.parametrize("state", STATES)
def test_cutting_the_corpus_into_more_streams_hardly_moves_frequent_words(reading: Reading, state: str) -> None:
    ten, five = reading.responses[state], reading.other_streams[state]
    often = reading.counts >= 100
    moved = np.linalg.norm(ten - five, axis=1) / np.linalg.norm(ten, axis=1)
    assert often.sum() > 20 and moved[often].max() < 0.02
