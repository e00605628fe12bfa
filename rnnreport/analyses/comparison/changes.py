"""The comparison in sentences: what changed, beyond what another seed would change, and in which state first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnreport.analyses.comparison.floor import FEWEST_UNITS, SAME_PLACE, Floor, noise_floor, seeds
from rnnreport.analyses.comparison.runs import Read
from rnnreport.analyses.comparison.weights import CommonWeights, common_weights
from rnnreport.analyses.scores import SHARES
from rnnreport.results.naming import input_noun
from rnnreport.results.recorded import Doubles, StateKey
from rnnreport.results.schema import Changes, Effects, Likeness, Slices, Unavailable

_GUIDE = (
    "A run counts as changed if a metric differs significantly from the baseline's, item by item, or if it has the "
    "baseline's weights, at least in part, and other states; then the first state that differs is named. With three "
    "or more runs of one configuration, read from their manifests, only metrics beyond the spread of these count, and "
    "states are shown against it. The states of a network trained separately are no reason by themselves: another "
    "seed changes them too, now and then a lot. No significant change does not mean equal."
)
_UNCHANGED = 1e-3  # relative change of states below which they are the same but for rounding
_JUDGED = ("accuracy", "exact_match", "rmse", "cross_entropy")
_MOST_NAMED = 3


def describe_changes(
    runs: Sequence[Read],
    paired: Sequence[dict[str, Any] | None],
    likeness: Likeness,
    slices: Slices | Unavailable,
    effects: Effects | Unavailable,
) -> Changes:
    """Judge every run after the first.

    Parameters
    ----------
    runs : at least two; the first is the baseline
    paired : of each run after the first, as ``paired_difference``
    likeness, slices, effects : of these runs
    """
    group, metrics = seeds(runs), _metrics(runs)
    floor = noise_floor(runs, group, metrics, likeness.angle)
    judged = [
        _judge(runs, place, paired[place - 1], (likeness, slices, effects), group, metrics)
        for place in range(1, len(runs))
    ]
    return Changes(
        seeds=np.array(group, np.int32),
        angle_bound=floor.angle_bound if floor else np.full(len(likeness.states), np.nan),
        verdicts=tuple(verdict for verdict, _ in judged),
        found=tuple(
            {"run": run.manifest.name, "sentences": told} for run, (_, told) in zip(runs[1:], judged, strict=True)
        ),
        guide=_GUIDE,
    )


def _judge(
    runs: Sequence[Read],
    place: int,
    pair: dict[str, Any] | None,
    parts: tuple[Likeness, Slices | Unavailable, Effects | Unavailable],
    group: Sequence[int],
    metrics: Sequence[str],
) -> tuple[str, list[dict[str, str]]]:
    """Verdict and sentences of one run; a pair of seeds is judged by the others."""
    likeness, slices, effects = parts
    within = place in group and 0 in group
    others = [member for member in group if member not in (0, place)] if within else group
    floor = noise_floor(runs, others, metrics, likeness.angle)
    changed, metric_text = _metric_change(runs[0], runs[place], pair, floor, metrics)
    weights = common_weights(runs[0], runs[place])
    copied = weights.copied or _shares_units(likeness, place)
    first, state_text = _state_change(likeness, place, floor, weights, copied=copied)
    if not (copied or changed):  # some seeds lie far out: states alone do not make a change of another training
        first = ""
    if is_floor := floor is None and place in group:
        state_text = f"one of the {len(group)} runs whose spread is the noise floor"
    sentences = [{"text": metric_text, "anchor": "metrics"}] if metric_text else []
    sentences += [{"text": state_text, "anchor": "likeness"}, *_flip_sentence(pair)]
    if not is_floor:
        beside = others if floor else ()
        noun = input_noun(runs[0].probe.vocabulary)
        sentences += _slice_sentence(slices, place - 1, beside) + _word_sentence(effects, place - 1, beside, noun)
    if (likeness.change[place] == 0).all():
        return "identical", sentences
    return "changed" if changed or first else "no significant change", sentences


def _metrics(runs: Sequence[Read]) -> list[str]:
    """The judged metrics that every run has."""
    return [name for name in _JUDGED if all(np.isfinite(_value(run, name)) for run in runs)]


def _value(run: Read, name: str) -> float:
    found = run.performance.metrics.get(name, {}).get("value")
    return float("nan") if found is None else float(found)


def _change(name: str, value: float) -> str:
    """A difference of a metric, of a share in percentage points."""
    return f"{100 * value:+.1f}" if name in SHARES else f"{value:+.3f}"


def _span(name: str, floor: Floor) -> str:
    bound = floor.metric_bounds[name]
    if name in SHARES and bound >= 1:
        return f"{floor.runs} runs are too few to say how much another seed changes it"
    return f"another seed changes it by up to {_change(name, bound).replace('+', '±')} ({floor.runs} runs)"


def _metric_change(
    baseline: Read, run: Read, pair: dict[str, Any] | None, floor: Floor | None, metrics: Sequence[str]
) -> tuple[bool, str]:
    """Whether a metric changed, and the sentence about the metric that is compared item by item."""
    if pair is None:
        return False, ""
    name, words = pair["metric"], pair["metric"].replace("_", " ")
    change, low, high = (_change(name, pair[part]) for part in ("difference", "low", "high"))
    points = " points" if name in SHARES else ""
    text = f"{words} {change}{points} against {pair['baseline']} (95% interval {low} to {high}, n = {pair['n']:,})"
    if floor is None:
        return pair["significant"], f"{text}: {'significant' if pair['significant'] else _not_significant(pair)}"
    beyond = [
        other for other in metrics if abs(_value(run, other) - _value(baseline, other)) > floor.metric_bounds[other]
    ]
    text += f"; {_span(name, floor)}"
    changed = bool(beyond) and (pair["significant"] or beyond != [name])
    extra = [other.replace("_", " ") for other in beyond if other != name]
    more = f"; {', '.join(extra)} lies beyond the seeds as well" if extra and name in beyond else ""
    more = f", but {', '.join(extra)} lies beyond the seeds" if extra and name not in beyond else more
    own = "significant and beyond the seeds" if name in beyond and pair["significant"] else "no significant change"
    return changed, f"{text}: {own}{more}"


def _not_significant(pair: dict[str, Any]) -> str:
    """In words, and why where the interval alone would say otherwise."""
    said = "no significant change"
    return said if pair["low"] <= 0 <= pair["high"] or "p_value" not in pair else f"{said}, as the exact test decides"


def _state_change(
    likeness: Likeness, place: int, floor: Floor | None, weights: CommonWeights, *, copied: bool
) -> tuple[str, str]:
    """The first state that changed, "" where none did or it cannot be told, and the sentence."""
    change, angle = likeness.change[place], likeness.angle[0, place]
    known = np.flatnonzero(np.isfinite(angle))
    if not known.size:
        return "", "no state of the run has a counterpart in the baseline"
    if copied:
        moved = np.flatnonzero(change > _UNCHANGED)
        if not moved.size:
            return "", "the states are those of the baseline"
        first = int(moved[0])
        before = "; those before it are the same" if first else ""
        alike = weights.sentence() if weights.copied else "the units are those of the baseline"
        return likeness.states[first], (
            f"{alike}, and the first state that differs is {_title(likeness, first)}, "
            f"by {change[first]:.0%} of its size{before}"
        )
    if floor is None:
        return "", f"states {_distance(angle, known)}: not judged without three runs of one configuration"
    beyond = [int(state) for state in known if angle[state] > floor.angle_bound[state]]
    if not beyond:
        return "", f"states {_distance(angle, known)}: no further than two seeds ({floor.runs} runs)"
    first = beyond[0]
    return likeness.states[first], (
        f"the first state beyond the seeds is {_title(likeness, first)}: angle {angle[first]:.2f}, where two seeds lie "
        f"{floor.angle_mean[first]:.2f} apart on average and rarely beyond {floor.angle_bound[first]:.2f} "
        f"({floor.runs} runs)"
    )


def _shares_units(likeness: Likeness, place: int) -> bool:
    """Whether some state has the units of the baseline in their places: a copy, a fine-tuned or a damaged one."""
    enough = likeness.widths[0] >= FEWEST_UNITS
    same = (likeness.same_place[place] >= SAME_PLACE) & enough
    return bool((same | (likeness.change[place] == 0)).any())


def _title(likeness: Likeness, state: int) -> str:
    return StateKey.parse(likeness.states[state]).title


def _distance(angle: Doubles, known: Any) -> str:
    low, high = float(angle[known].min()), float(angle[known].max())
    span = f"{low:.2f}" if round(low, 2) == round(high, 2) else f"{low:.2f} to {high:.2f}"
    return f"at an angle of {span} to the baseline's"


def _flip_sentence(pair: dict[str, Any] | None) -> list[dict[str, str]]:
    """How many sequences one run alone gets right, where a sequence has one answer."""
    if pair is None or "p_value" not in pair or not pair["only_run_right"] + pair["only_baseline_right"]:
        return []
    gained, lost = pair["only_run_right"], pair["only_baseline_right"]
    text = f"{lost:,} of {pair['n']:,} sequences are no longer right, {gained:,} newly (exact McNemar p = "
    return [{"text": f"{text}{pair['p_value']:.2g})", "anchor": "flips"}]


def _slice_sentence(slices: Slices | Unavailable, place: int, group: Sequence[int]) -> list[dict[str, str]]:
    """The groups of sequences that differ significantly, and by more than any two seeds do."""
    if isinstance(slices, Unavailable):
        return []
    between = np.ptp(slices.values[list(group)], axis=0) if group else np.zeros(len(slices.names))
    certain = np.flatnonzero((slices.adjusted[place] < 0.05) & (np.abs(slices.difference[place]) > between))
    if not certain.size:
        return []
    order = certain[np.argsort(-np.abs(slices.difference[place][certain]), kind="stable")]
    points = " points" if slices.metric in SHARES else ""
    named = [
        f"{slices.kinds[at]} “{slices.names[at]}” ({_change(slices.metric, slices.difference[place][at])}{points})"
        for at in order[:_MOST_NAMED]
    ]
    return [
        {
            "text": f"{slices.metric.replace('_', ' ')} differs significantly in {certain.size} of {len(slices.names)} "
            f"groups of sequences, most in {', '.join(named)}",
            "anchor": "slices",
        }
    ]


def _word_sentence(effects: Effects | Unavailable, place: int, group: Sequence[int], noun: str) -> list[dict[str, str]]:
    """The effects that turned, of those that have one sign in all seeds."""
    if isinstance(effects, Unavailable) or not effects.outputs:
        return []
    steady = (np.sign(effects.effect[list(group)]) == np.sign(effects.effect[0])).all(axis=0)
    words, outputs = np.nonzero((effects.turned[place] > 0) & steady)
    if not words.size:
        return []
    named = [f"“{effects.words[w]}” for {effects.outputs[k]}" for w, k in zip(words, outputs, strict=True)][
        :_MOST_NAMED
    ]
    count = f"{words.size:,} effects of {noun}s have" if words.size > 1 else f"the effect of one {noun} has"
    return [{"text": f"{count} turned to the opposite: {', '.join(named)}", "anchor": "effects"}]
