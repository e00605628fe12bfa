"""Nets trained here on real corpora, reported on through the command line, and held against PyTorch alone.

Every expected number comes from the net itself, run on one sequence at a time; see ``tests/reported.py``.
"""

from __future__ import annotations

import logging
import math
import re
from collections import Counter

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from torch.nn import functional

from rnnreport.results.schema import Dynamics, Performance, Projection, Sequences, Similar, Units, Words
from tests import nets
from tests.browser.conftest import chip_colours, settle, show_plot
from tests.reported import CLASSES, EPOCHS, encode, report_language, report_sentiment, sentence_alone
from tests.typeset import plain

pytestmark = [pytest.mark.corpus, pytest.mark.browser]

LOG = logging.getLogger(__name__)  # measurements, shown by --log-cli-level=INFO


@pytest.fixture(scope="module", autouse=True)
def torch_settings():
    """One thread, and a generator that other tests do not notice."""
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        yield


@pytest.fixture(scope="module")
def sentiment(data_folder, root, tmp_path_factory):
    return report_sentiment(data_folder, root, tmp_path_factory.mktemp("sentiment"))


@pytest.fixture(scope="module")
def language(data_folder, root, tmp_path_factory):
    return report_language(data_folder, root, tmp_path_factory.mktemp("language"))


@pytest.fixture(params=["sentiment", "language"])
def case(request):
    return request.getfixturevalue(request.param)


def test_a_state_for_every_token_and_none_else(case):
    probe, last, manifest = case.folder.probe(), case.last, case.folder.manifest()
    steps = sum(map(len, case.tokens))
    assert list(probe.lengths) == [len(tokens) for tokens in case.tokens]
    assert list(probe.tokens) == [number for tokens in case.tokens for number in encode(tokens, case.ids).tolist()]
    assert manifest.corpus["steps"] == case.folder.result(Sequences).total_steps == steps
    assert manifest.corpus["unknown_tokens"] == sum(word not in case.ids for tokens in case.tokens for word in tokens)
    assert set(last.states) == set(manifest.state_keys) == set(case.alone[0].states)
    for key, states in last.states.items():
        own = np.concatenate([sequence.states[key] for sequence in case.alone])
        assert states.shape == own.shape == (steps, manifest.model["units"])
        np.testing.assert_allclose(states, own, atol=1e-5)


def test_responses_are_the_mean_change_at_a_word(case):
    words = case.folder.result(Words)
    known = Counter(case.known(word) for tokens in case.tokens for word in tokens)
    assert dict(zip(words.names, words.counts, strict=True)) == {name: known[name] for name in words.names}
    assert list(words.counts) == sorted(known.values(), reverse=True)[:300]
    for scope, key in enumerate(case.folder.manifest().state_keys):
        units = case.folder.result(Units, scope)
        assert units.scope == key
        for place in (0, 5, 40):
            name, changes = words.names[place], []
            for tokens, sequence in zip(case.tokens, case.alone, strict=True):
                before = np.zeros_like(sequence.states[key][0])
                for word, state in zip(tokens, sequence.states[key], strict=True):
                    if case.known(word) == name:
                        changes.append(state - before)
                    before = state
            np.testing.assert_allclose(units.response[place], np.mean(changes, axis=0), atol=1e-5)


def test_sentiment_is_scored_as_the_net_scores_itself(sentiment):
    own = torch.stack([sentence.scores for sentence in sentiment.alone]).softmax(1)
    right = own.argmax(1).numpy() == np.array(sentiment.answers)
    assert right.mean() > 0.7
    performance, summary = sentiment.folder.result(Performance), sentiment.folder.summary()
    for metrics in (performance.metrics, summary.metrics):
        assert metrics["accuracy"]["value"] == pytest.approx(right.mean(), abs=1e-12)
        assert metrics["accuracy"]["n"] == len(right)
        assert metrics["cross_entropy"]["value"] == pytest.approx(
            functional.nll_loss(own.log(), torch.tensor(sentiment.answers)).item(), abs=1e-5
        )
    assert performance.confusion.trace() == right.sum()
    assert performance.confusion.sum(axis=1).tolist() == np.bincount(sentiment.answers).tolist()
    assert performance.class_names == CLASSES
    assert sentiment.folder.metrics()[-1]["accuracy"] == pytest.approx(right.mean(), abs=1e-12)


def test_the_last_expected_prediction_is_the_output_of_the_net(sentiment):
    own = torch.stack([sentence.scores for sentence in sentiment.alone]).softmax(1).numpy()
    last, ends = sentiment.last, sentiment.folder.probe().offsets[1:] - 1
    np.testing.assert_allclose(last.step_output[ends], own, atol=1e-5)
    np.testing.assert_allclose(last.model_output, own, atol=1e-5)
    sequences = sentiment.folder.result(Sequences)
    shown, ends = own[sequences.probe_index], np.cumsum(sequences.lengths) - 1
    np.testing.assert_allclose(sequences.step_output[-1, ends], shown, atol=1e-5)
    np.testing.assert_allclose(sequences.confidence, shown.max(1), atol=1e-5)
    assert sequences.predicted.tolist() == shown.argmax(1).tolist()
    assert list(sequences.sequence_ids) == [f"line {index + 2}" for index in sequences.probe_index]  # after the header


def test_an_earlier_expected_prediction_is_that_of_the_sentence_cut_there(sentiment):
    model = nets.Sentiment(1 + len(sentiment.ids)).eval()
    for epoch in (1, EPOCHS):
        path = sentiment.folder.path.parent / "ckpt" / f"epoch_{epoch}.pt"
        model.load_state_dict(torch.load(path, weights_only=True))
        recorded, start = sentiment.folder.checkpoint(epoch).step_output, 0
        for words in sentiment.tokens[:25]:
            tokens = encode(words, sentiment.ids)
            for end in range(1, len(tokens) + 1):
                expected = sentence_alone(model, tokens[:end]).scores.softmax(0)
                np.testing.assert_allclose(recorded[start + end - 1], expected, atol=1e-5)
            start += len(tokens)


def test_similar_states_are_the_nearest_of_the_net_in_other_sequences(case):
    shown, found = case.folder.result(Sequences), case.folder.result(Similar)
    own = np.concatenate([case.alone[index].states[found.scope] for index in shown.probe_index]).astype(np.float64)
    owners = np.repeat(np.arange(len(shown.lengths)), shown.lengths)
    search = NearestNeighbors(n_neighbors=found.neighbours.shape[1])
    for q in (0, 7, len(shown.lengths) - 1):
        steps, others = np.flatnonzero(owners == q), np.flatnonzero(owners != q)
        distances, places = search.fit(own[others]).kneighbors(own[steps])
        np.testing.assert_allclose(found.distances[steps], distances, atol=2e-4)
        apart = np.diff(distances, axis=1).min(axis=1, initial=1) > 1e-3  # else their order is that of rounding
        np.testing.assert_array_equal(found.neighbours[steps][apart, :-1], others[places][apart, :-1])
    gaps = np.linalg.norm(own[found.neighbours] - own[:, None], axis=2)
    np.testing.assert_allclose(found.distances, gaps, atol=2e-4)
    LOG.info("similar states of %d: nearest at %.3f of the typical distance (median), %.0f%% also by angle",
             len(own), np.median(found.distances[:, 0]) / found.typical, 100 * found.cosine_share)  # fmt: skip


def test_every_epoch_is_embedded(sentiment):
    assert sentiment.folder.epochs() == list(range(1, EPOCHS + 1))
    dynamics = sentiment.folder.result(Dynamics)
    assert dynamics.epochs.tolist() == sentiment.folder.epochs()
    size = dynamics.epochs.size * dynamics.steps.size * dynamics.units.size
    assert dynamics.space.shape == (size, 3) and np.isfinite(dynamics.space).all()
    performance = sentiment.folder.result(Performance)
    accuracy = performance.history[performance.history_names.index("accuracy")]
    assert accuracy[-1] > accuracy[0] and np.isfinite(accuracy).all()


def test_the_map_keeps_neighbours(sentiment):
    projection = sentiment.folder.result(Projection)
    for method, coordinates in zip(projection.methods, projection.coordinates, strict=True):
        mapped = np.isfinite(coordinates).all(axis=1).sum()
        assert mapped == projection.params[method]["states"]
        assert mapped == len(coordinates) or method == "PHATE"  # which maps a sample, for time
    assert projection.coordinates.shape[1] == sentiment.folder.result(Sequences).lengths.sum()
    assert projection.trust[projection.methods[0]]["trustworthiness"] > 0.9


def test_language_is_scored_as_the_net_scores_itself(language):
    scores, answers = torch.cat([chunk.scores for chunk in language.alone]), torch.tensor(language.answers)
    own = functional.cross_entropy(scores[:-1], answers, reduction="none").numpy()
    surprisal = language.last.surprisal
    np.testing.assert_allclose(surprisal[:-1], own, atol=1e-4)
    assert np.isnan(surprisal[-1])  # nothing follows the last token of the text
    metrics = language.folder.result(Performance).metrics
    assert metrics == language.folder.summary().metrics
    assert metrics["cross_entropy"]["value"] == pytest.approx(own.mean(dtype=np.float64), abs=1e-4)
    assert metrics["perplexity"]["value"] == pytest.approx(math.exp(own.mean(dtype=np.float64)), rel=1e-4)
    assert metrics["perplexity"]["value"] < len(language.ids) / 5
    assert {entry["n"] for entry in metrics.values()} == {len(own)}


def test_language_expects_what_the_net_expects(language):
    own = torch.cat([chunk.scores for chunk in language.alone]).softmax(1).numpy()
    last = language.last
    best = -np.sort(-own, axis=1)[:, :5]
    np.testing.assert_allclose(last.top_probabilities, best, atol=1e-5)
    # by probability, so that two equal ones may stand in either order
    np.testing.assert_allclose(np.take_along_axis(own, last.top_tokens, axis=1), best, atol=1e-5)
    certain = best[:, 0] - best[:, 1] > 1e-5
    assert certain.mean() > 0.99
    assert (last.top_tokens[certain, 0] == own.argmax(1)[certain]).all()
    right = own[:-1].argmax(1) == np.array(language.answers)
    accuracy = language.folder.result(Performance).metrics["accuracy"]["value"]
    assert accuracy == pytest.approx(right.mean(), abs=2 * (~certain).sum() / len(own) + 1e-12)


def picks(page):
    return page.locator("#bar .pick span").all_inner_texts()


def colours(page, selector):
    return page.eval_on_selector_all(selector, "nodes => nodes.map((node) => getComputedStyle(node).backgroundColor)")


def frequent_word(page):
    """The most frequent word that is visible in a cloud and is not the one the figure starts with."""
    found = page.eval_on_selector_all("#clusters .word", "nodes => nodes.map((node) => Number(node.dataset.word))")
    title = page.locator("#title-units").inner_text()
    for index in sorted(found):
        word = page.locator(f"#clusters .word[data-word='{index}']")
        if f"“{word.inner_text()}”" not in title:
            return word
    raise AssertionError("no word in the clouds")


@pytest.fixture
def page(open_page, sentiment):
    """The sentiment report."""
    return open_page(sentiment.page)


def test_the_page_is_small_and_starts(open_page, case):
    size = case.page.stat().st_size
    assert size < 5_000_000
    ready = open_page(case.page).evaluate("performance.now()")
    LOG.info("%s: %.2f MB, ready after at most %.0f ms", case.folder.manifest().task, size / 1e6, ready)
    LOG.info("%s\n%s", case.folder.summary().metrics, case.stderr)


def test_a_word_then_a_sentence_then_a_step(page, sentiment):
    for name in ("response", "classes", "map"):
        show_plot(page, name)
    before = chip_colours(page)
    word = frequent_word(page)
    index, name = int(word.get_attribute("data-word")), word.inner_text()
    word.click()
    settle(page)
    assert picks(page) == [f"“{name}”"]
    assert f"“{name}”" in page.locator("#title-units").inner_text()
    assert f"n = {sentiment.folder.result(Words).counts[index]}" in plain(page.locator("#note-response").inner_text())
    assert chip_colours(page) != before
    occurrences = sum(tokens.count(name) for tokens in sentiment.displayed())
    assert page.evaluate("RR.plots.map.source('map.points').data.alpha.filter((a) => a > 0.9).length") == occurrences

    page.select_option("#table-filter", "word")
    with_word = [q for q, tokens in enumerate(sentiment.displayed()) if name in tokens]
    assert page.locator("#table-count").inner_text().startswith(f"{len(with_word)} of ")
    page.locator("#table tr[data-q]").first.click()
    settle(page)
    tokens = sentiment.displayed()[with_word[0]]
    assert page.locator("#text .token").all_inner_texts() == tokens
    same = page.locator("#text .token.same")
    assert same.all_inner_texts() == [token for token in tokens if token == name]
    assert "underline" in same.first.evaluate("node => getComputedStyle(node).textDecorationLine")

    same.first.click()
    settle(page)
    step, line = tokens.index(name), sentiment.folder.result(Sequences).sequence_ids[with_word[0]]
    assert picks(page) == [f"“{name}”", line, f"step {step + 1}"]
    assert page.evaluate("Array.from(RR.plots.classes.source('classes.here').data.x)") == [step]
    assert f"step {step + 1} of {line}" in page.locator("#title-units").inner_text()
    assert word.get_attribute("aria-pressed") == "true"


def test_a_step_marks_its_word_in_the_clouds(page, sentiment):
    words = page.eval_on_selector_all("#clusters .word", "nodes => nodes.map((node) => node.textContent)")
    texts = page.locator("#text .token").all_inner_texts()
    step = next(step for step, token in enumerate(texts) if token in words)
    page.locator("#text .token").nth(step).click()
    settle(page)
    assert picks(page) == [sentiment.folder.result(Sequences).sequence_ids[0], f"step {step + 1}"]
    assert page.locator("#clusters .word[aria-pressed=true]").all_inner_texts() == [texts[step]]


def test_a_unit_colours_the_text(page, sentiment):
    show_plot(page, "boxes")
    text = colours(page, "#text .token")
    unit = page.locator("#clusters .unit").nth(3)
    index = int(unit.get_attribute("data-unit"))
    unit.click()
    settle(page)
    assert picks(page) == [f"unit {index}"]
    assert f"unit {index}" in page.locator("#title-boxes").inner_text()
    assert f"unit {index}" in page.locator("#text-colour").inner_text()
    assert colours(page, "#text .token") != text
    means = page.evaluate("Array.from(RR.plots.boxes.source('boxes').data.mean)")
    response = sentiment.folder.result(Units, 0).response[:, index]
    assert means and all(abs(response - mean).min() < 1e-3 for mean in means)


def test_the_slider_leads_through_the_training(page, sentiment):
    sequences = sentiment.folder.result(Sequences)
    ends = np.cumsum(sequences.lengths) - 1
    columns = "rows => rows.map((row) => [Number(row.dataset.q), row.cells[2].innerText.trim()])"
    seen = []
    for key, place in (("Home", 0), ("ArrowRight", 1), ("End", EPOCHS - 1)):
        page.locator("#epoch").press(key)
        settle(page)
        assert page.locator("#epoch-name").inner_text() == f"{sequences.epochs[place]} of {EPOCHS}"
        output = sequences.step_output[place, ends]
        wrong = output.argmax(1) != sequences.labels
        shown = page.eval_on_selector_all("#table tr[data-q]", columns)
        # the page keeps probabilities of earlier epochs in 8 bits, so it may see a tie as either class
        clear = [(q, text) for q, text in shown if abs(output[q, 1] - output[q, 0]) > 0.02]
        assert len(clear) > 100
        assert clear == [(q, f"{CLASSES[output[q].argmax()]}{' ✗' * bool(wrong[q])}") for q, _ in clear]
        seen.append(shown)
    assert seen[0] != seen[2]


def test_the_link_restores_the_selection(page):
    frequent_word(page).click()
    page.locator("#clusters .unit").nth(2).click()
    page.locator("#table tr[data-q='7']").click()
    page.locator("#text .token").nth(1).click()
    page.locator("#epoch").press("Home")
    settle(page)
    chosen, texts, units = picks(page), page.locator("#text").inner_text(), chip_colours(page)
    assert len(chosen) == 4
    page.reload()
    page.wait_for_selector("html[data-ready=yes]", state="attached")
    settle(page)
    assert picks(page) == chosen
    assert page.locator("#text").inner_text() == texts
    assert chip_colours(page) == units
    assert page.locator("#epoch-name").inner_text().startswith("1 of ")


def test_language_pointing_at_a_token_tells_its_surprisal(open_page, language):
    page = open_page(language.page)
    show_plot(page, "surprisal")
    assert page.locator("#epoch-control").is_hidden()  # one checkpoint: nothing to slide through
    assert "Not shown" in page.locator("#figure-dynamics").inner_text()
    sequences = language.folder.result(Sequences)
    row, step = 2, 3
    page.locator(f"#table tr[data-q='{row}']").click()
    settle(page)
    start, stop = np.cumsum(sequences.lengths)[row - 1 : row + 1]
    surprisal = sequences.surprisal[start:stop]
    token = page.locator("#text .token").nth(step)
    token.hover()
    settle(page)
    tip = page.locator("#tooltip").inner_text()
    told = re.search(r"surprisal of the next token ([\d.]+) nats", tip)
    assert float(told[1]) == pytest.approx(surprisal[step], abs=0.01)
    best = sequences.token_names[sequences.top_tokens[start + step, 0]]
    assert f"expects {best} " in tip
    token.click()
    settle(page)
    assert picks(page) == [sequences.sequence_ids[row], f"step {step + 1}"]
    heights = page.evaluate("Array.from(RR.plots.surprisal.source('surprisal').data.top)")
    np.testing.assert_allclose(heights, surprisal, atol=0.01)


def test_language_frames_the_word_that_came_among_those_the_net_expects(open_page, language):
    page = open_page(language.page)
    show_plot(page, "tops")
    shown, names = language.folder.result(Sequences), list(language.ids)
    everything = [word for tokens in language.tokens for word in tokens]
    for row in (2, 9):
        page.locator(f"#table tr[data-q='{row}']").click()
        settle(page)
        index = shown.probe_index[row]
        best = language.alone[index].scores.topk(5, dim=1).indices
        start = sum(map(len, language.tokens[:index]))  # the next chunk follows the last word
        following = everything[start + 1 : start + 1 + shown.lengths[row]]
        expected = {
            (t, rank)
            for t, (ranks, word) in enumerate(zip(best.tolist(), following, strict=True))
            for rank, number in enumerate(ranks)
            if names[number] == language.known(word)
        }
        framed = page.evaluate(
            "(({ x, y }) => Array.from(x, (t, i) => [t, y[i]]))(RR.plots.tops.source('tops.came').data)"
        )
        assert expected and {tuple(mark) for mark in framed} == expected
