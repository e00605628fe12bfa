"""Titles say what a figure shows, and say nothing where it shows nothing."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from rnnreport.report.fallback import scatter_svg
from rnnreport.report.titles import (
    best_title,
    changes_title,
    confusion_title,
    curve_title,
    formation_title,
    left_out_title,
    map_title,
    metrics_title,
    picture_title,
    pictures_title,
)

EPOCHS = np.arange(3)


@pytest.mark.parametrize(
    ("curves", "shares", "title"),
    [
        ({"train loss": [2.0, 1.0, 0.1], "test loss": [2.1, 1.0, 0.4]}, False, "Test loss fell from 2.10 to 0.400"),
        ({"val accuracy": [0.1, 0.5, 0.75]}, True, "Val accuracy rose from 10.0% to 75.0%"),
        ({"loss": [0.7, 0.9, 0.7]}, False, "Loss ends where it began, at 0.700"),
        ({"loss": [0.7, 0.7, 0.7]}, False, "Loss ends where it began, at 0.700"),
        ({"loss": [np.nan, 0.9, 0.7]}, False, "Loss fell from 0.900 to 0.700"),
    ],
)
def test_a_curve_is_told_by_its_ends(curves, shares, title):
    assert curve_title({name: (EPOCHS, np.array(values)) for name, values in curves.items()}, shares=shares) == title


def test_the_most_frequent_mistake_is_named():
    counts = np.array([[8, 2, 0], [0, 9, 0], [1, 3, 5]], np.int32)
    assert confusion_title(("a", "b", "c"), counts) == "“c” is taken for “b” most often: 3 of 9"
    assert confusion_title(("a", "b", "c"), np.diag([3, 4, 5]).astype(np.int32)) == ("No class is mistaken for another")


def test_the_run_that_ends_best_is_named():
    runs = {name: (EPOCHS, np.array([0.9, end])) for name, end in (("a", 0.3), ("b", 0.2), ("c", 0.3))}
    assert best_title("test loss", runs, shares=False) == "Test loss ends lowest in b, at 0.200"
    diverged = {"d": (EPOCHS, np.array([0.9, np.nan]))}
    assert best_title("test loss", runs | diverged, shares=False) == "Test loss ends lowest in b, at 0.200"
    assert best_title("test loss", diverged, shares=False) == "Test loss of no run ends in a number"
    assert best_title("test accuracy", runs, shares=True) == "Test accuracy ends highest at 30.0%, in 2 of 3 runs"


def title_of_changes(*verdicts, seeds=0, paired=True):
    changes = SimpleNamespace(
        found=[{"run": name} for name in "bcd"[: len(verdicts)]], verdicts=verdicts, seeds=np.arange(seeds)
    )
    return changes_title(changes, SimpleNamespace(runs=("a", "b", "c", "d"), paired=[{}] if paired else []))


def test_what_changed_is_told_as_far_as_it_was_judged():
    same = "no significant change"
    assert title_of_changes("identical") == "Nothing differs from a"
    assert title_of_changes(same) == "b scores neither significantly better nor worse than a"
    assert title_of_changes(same, "identical") == "No run scores significantly better or worse than a"
    assert title_of_changes(same, seeds=3) == title_of_changes(same, paired=False) == "No significant change against a"
    assert title_of_changes("changed") == "b differs from a"
    assert title_of_changes("changed", same, "changed") == "b and d differ from a (2 of 3 runs)"
    assert title_of_changes("changed", "changed", "changed") == "3 of 3 runs differ from a"


def test_the_best_run_is_named_by_the_first_metric():
    def title(name, *values):
        metrics = np.array([[[value, 0, 1]] for value in values])
        return metrics_title(SimpleNamespace(metric_names=(name,), metrics=metrics, runs=("a", "b")), "classification")

    assert title("accuracy", 0.5, 0.75) == "Accuracy is highest in b: 75.0%"
    assert title("cross_entropy", 0.5, 0.75) == "Cross entropy is lowest in a: 0.500 nats"
    assert title("rmse", np.nan, 0.75) == "RMSE is lowest in b: 0.750"
    assert title("accuracy", 1, 1) == "Accuracy is the same in all runs: 100.0%"


def test_a_map_is_told_by_what_its_neighbours_expect():
    near = SimpleNamespace(scope="h", compared=3, same_class=2 / 3, chance=5 / 9)
    trust = {"t-SNE, perplexity 30": {"trustworthiness": 0.99, "shepard": None}}
    projection = SimpleNamespace(scope="h", methods=tuple(trust), trust=trust)
    by_expectation = (
        "The nearest state of another sequence expects the same class in 66.7% of 3 states, by chance 55.6%"
    )
    assert map_title(projection, near, "classification") == by_expectation
    assert map_title(projection, near, "tagging") == by_expectation.replace("class", "tag")
    by_trust = "t-SNE keeps neighbours with trustworthiness 0.990, distances with rank correlation not defined"
    assert map_title(projection, None, "classification") == by_trust
    near.compared = 0
    assert map_title(projection, near, "language-model") == by_trust


def test_a_training_picture_is_told_by_its_moves():
    change = np.array([[np.nan, 1.0, 0.5, 0.1], [np.nan] * 4], np.float32)
    moving = SimpleNamespace(epochs=np.array([0, 1, 5, 15], np.int32), change=change)
    assert picture_title(moving) == "The units have moved half of their way by epoch 5 of 15"  # 1, 3 and 4 in all
    moving.change = np.zeros((2, 4), np.float32)
    assert picture_title(moving) == "The units stay where they are in all epochs"
    assert picture_title(None) == "MM-PHATE: every unit at every step of every epoch"


def test_names_stand_where_their_points_are():
    points, named = (
        np.array([[0.0, 0], [0, 2], [4, 1]]),
        {"<b>": np.array([2.0, 1]), "a name that is too long": np.zeros(2)},
    )
    drawn = scatter_svg("map", points, np.array([0, 0, 1]), ("red", "blue"), named)
    assert '<text x="320" y="150">&lt;b&gt;</text>' in drawn and ">a name that i…</text>" in drawn


def test_pictures_are_told_by_the_best():
    kept = [{"trustworthiness": 0.7}, {"trustworthiness": 0.9}, {"trustworthiness": None}]
    pictures = SimpleNamespace(methods=("MM-PHATE", "PCA", "t-SNE"), kept=kept)
    assert pictures_title(pictures) == "PCA keeps neighbours best: trustworthiness 0.900, MM-PHATE 0.700"
    pictures.kept = [{"trustworthiness": 0.95}, *kept[1:]]
    assert pictures_title(pictures) == "MM-PHATE keeps neighbours best: trustworthiness 0.950"


def formed(epoch):
    return SimpleNamespace(settled={"epoch": epoch}, epochs=np.array([0, 5, 20], np.int32))


def test_a_representation_that_was_not_done_is_not_called_final():
    assert formation_title(formed(5)) == "The representation reached its final geometry at epoch 5 of 20"
    assert formation_title(formed(20)) == "The representation was still changing at the last epoch, 20"
    assert formation_title(formed(5), "layer 2").startswith("The representation of layer 2 reached its final geometry")


def left_out(*drops):
    return SimpleNamespace(edges=np.array([0, 2, 3], np.int32), drop=np.array(drops, np.float32).T, metric="accuracy")


def test_only_steps_whose_interval_excludes_nothing_are_called_needed():
    assert left_out_title(left_out((0.05, 0.01, 0.09), (0.2, 0.1, 0.3))) == (
        "Step 3 is needed most: without it accuracy falls by 20.0 points"
    )
    assert left_out_title(left_out((0.25, 0.01, 0.4), (0.2, 0.1, 0.3))) == (
        "Steps 1 to 2 are needed most: without them accuracy falls by 25.0 points"
    )
    assert left_out_title(left_out((0.05, -0.01, 0.09), (0.02, 0.01, 0.03))) == (
        "No single stretch of steps is needed for the answers"
    )
