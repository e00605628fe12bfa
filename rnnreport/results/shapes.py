"""How the parts of the results of a run fit together, in one line each; ``unfit.py`` reads these lines.

A line gives the shape of a field, an array, every array of a dict, or a tuple, which has one axis: ``"Words H"``.
A letter is a size that is the same wherever it stands in the record; a word, one that is the same in all results of
a run; with ``@``, in all results of a state, or of all under its key. ``*`` is any size, ``0 | W`` one of two shapes.
Sizes may be computed: ``T+1``, ``T*H``, ``#names`` (the length of a field), ``=total`` (a field), ``sum(lengths)``,
``squares(lengths)``, ``products(counts,lengths)``.
What is not certain stays free: ``*``. A number or text has no axes: its line begins with the semicolon.

After a semicolon follows what the values keep to:

    -1..W  0..  share  finite       from -1 to below W, at least 0, from 0 to 1 or NaN, neither NaN nor infinite
    infinite                        may be infinite: what says nothing else in a result is a number or NaN
    known                           one in the first row is no NaN
    increasing  rising              in their order; rising: no two equal
    column 2 1..                    of one column
    sum Steps  is Probe  least 2    their sum, or the number itself, is a size; there are so many
    like Predicted  same Epochs     all fields of this word have some, or none; hold the same
    in modes  one this, that        one of a field, or of these texts
    keys methods  keyed curves      the keys are those of a field; each is a key there, too
    below lengths sequences         below the length of the sequence that each belongs to
    before lengths counts           likewise of consecutive items, of which so many belong to each; one without counts
    within sequences                no longer than the sequences of the probe set that the field names
    all I                           each place from 0 to below I occurs
    tree contexts                   places in the tree that the field names, of what stands before
    some                            at least one, unless the field ``reason`` says why there is none
    complete                        the keys are all states of the run, at least
    on curves                       a step of the curve of that key
    spatial  columns                methods with three dimensions; arrays that have three columns only of such a one
    states  weightings              StateKeys, items or keys; keys of ``WEIGHTINGS``
"""

from __future__ import annotations

from typing import Any

from rnnreport.results import schema
from rnnreport.results.schema.landmarks import Landmarks
from rnnreport.results.shapes_compared import COMPARED
from rnnreport.results.shapes_recorded import RECORDED

_NODES = "NodeEpochs*NodeSteps*NodeUnits"


def _sequences(count: str, steps: str) -> dict[str, str]:
    return {
        "probe_index": f"{count}; 0..=total_sequences; rising" if count == "Shown" else f"{count}; 0..",
        "sequence_ids": count,
        "lengths": f"{count}; 1..; sum {steps}",
        "class_names": "Classes",
        "labels": f"0 | {count}; -1..Classes",
        "predicted": f"0 | {count}; -1..Classes; like Predicted",
        "confidence": f"0 | {count}; like Confidence; share",
        "truths": f"0 0 | {count} Classes | {steps} Classes",
        "outputs": f"0 0 | {count} Classes; like Outputs; infinite",
        "tokens": f"0 | {steps}; 0..#token_names",
        "feature_names": "D",
        "values": f"0 0 | {steps} D; infinite",
        "epochs": "ShownEpochs; rising",
        "step_output": f"0 0 0 | ShownEpochs {steps} Classes; like StepOutput; infinite",
        "targets": f"0 | {steps}; -1..",
        "surprisal": f"0 | {steps}; like Surprisal; infinite",
        "top_tokens": f"0 5 | {steps} 5; -1..#token_names; like TopTokens",
        "top_probabilities": f"0 5 | {steps} 5; like TopTokens; share",
        "distance": f"{steps}; infinite",
    }


_PICTURES = {"methods": "M", "places": f"n; 0..{_NODES}", "coordinates": "M n 2", "kept": "M"}
_DEPENDENCE = {"lengths": "M; 1..", "shares": "squares(lengths); share", "largest": "sum(lengths)"}

SHAPES: dict[type[Any], dict[str, str]] = {
    **RECORDED,
    schema.Sequences: {
        **_sequences("Shown", "Steps"),
        "total_sequences": "; is Probe",
        "total_steps": "; is AllSteps",
    },
    schema.GivenSentences: {
        **_sequences("Given", "GivenSteps"),
        "written": "GivenSteps",
        "unknown": "*; 0..GivenSteps",
        "step_words": "0 | GivenSteps; -1..Words",
        "activation": "GivenSteps *; states; infinite",
    },
    schema.Performance: {
        "class_names": "K",
        "confusion": "0 0 | K K; 0..",
        "label_counts": "0 4 | K 4; 0..",
        "truth": "0 0 | I K; infinite",
        "output": "0 0 | I K; infinite",
        "history_names": "M",
        "history_epochs": "E; rising",
        "history": "M E; infinite",
    },
    schema.Words: {
        "names": "Words",
        "counts": "Words; 0..",
        "tokens": "0 | Words; 0..",
        "shapes": "0 0 | Words D",
        "step_words": "Steps; -1..Words",
        "tags": "0 | Words; -1..#tag_names",
        "tag_share": "0 | Words; share",
    },
    schema.Units: {
        "response": "Words Units@; infinite",
        "bands": "4 Words Units@; infinite",
        "standard_error": "Words Units@; infinite",
        "epochs": "E; rising",
        "response_by_epoch": "E Words Units@; infinite",
        "explained": "Units@; share",
        "kept_rate": "4; share",
        "modes": "M; weightings",
        "ks": "k; 1..",
        "links": "M k C C",
        "word_labels": "M k Words; -1..C",
        "unit_labels": "M k Units@; -1..C",
        "association": "M k Words",
        "kept_by_cluster": "M k C; share",
        "stability": "M k",
        "cut": "M k",
        "activation": "Steps Units@; infinite",
        "default_mode": "; in modes",
        "default_k": "; in ks",
    },
    schema.UnitMap: {"coordinates": "Units@ 2"},
    schema.Projection: {
        "methods": "M",
        "coordinates": "M Steps 2",
        "space_methods": "B; spatial",
        "space": "B Steps 3",
        "strangeness": "E",
        "placed": "E Steps 2 | E Steps 3; columns",
        "placed_epochs": "*; rising",
        "trust": "; keys methods",
        "params": "; keys methods",
    },
    schema.GivenPlaces: {"placed": "GivenSteps 2 | GivenSteps 3; columns"},
    schema.Dynamics: {
        "epochs": "NodeEpochs; rising; same Epochs",
        "steps": "NodeSteps; 0..; rising; same Steps",
        "units": "NodeUnits; 0..",
        "plane": f"{_NODES} 2; finite",
        "space": f"{_NODES} 3; finite",
        "active": f"0 | {_NODES}; -1..Classes",
    },
    schema.NodeStates: {"states": "*; states", "of_unit": "NodeUnits; 0..#states; increasing"},
    schema.Formation: {
        "epochs": "NodeEpochs; rising; same Epochs",
        "steps": "NodeSteps; 0..; rising; same Steps",
        "units": "H; 0..",
        "within_step": "2 NodeEpochs NodeSteps",
        "within_unit": "2 NodeEpochs H",
        "alignment": "2 NodeEpochs",
        "change": "2 NodeEpochs",
        "purity": "2 NodeEpochs; share",
        "similarity": "NodeEpochs",
        "participation": "NodeEpochs",
    },
    schema.Pictures: _PICTURES,
    schema.RawPictures: _PICTURES,
    schema.ActiveWords: {"words": f"{_NODES} 3; -1..Words", "groups": f"{_NODES}; -1..", "word_groups": "Words; -1.."},
    schema.Probes: {
        "epochs": "NodeEpochs; rising; same Epochs",
        "steps": "NodeSteps; 0..; rising; same Steps",
        **dict.fromkeys(("accuracy", "control", "information"), "NodeEpochs NodeSteps"),
        "mean": "3 NodeEpochs",
        "noise": "NodeEpochs",
        "most_frequent": "NodeSteps",
    },
    schema.LeftOutSteps: {"edges": "B; 0..; rising", "drop": "3 B-1; known", "surprise": "3 0 | 3 B-1"},
    schema.ContinuationTrees: {
        "sequence_ids": "M",
        "context_tokens": "M",
        "contexts": "J; 0..M; increasing; all M",
        "parents": "J; -1..J; tree contexts",
        "tokens": "J",
        "probabilities": "J; share",
    },
    schema.Dependence: {"sequences": "M; 0..Shown", **_DEPENDENCE},
    schema.GivenDependence: {"sequences": "M; 0..Given", **_DEPENDENCE},
    schema.Decisions: {
        "sequences": "M; 0..; rising",
        "decided": "M; 1..",
        "flips": "M; 0..",
        "right": "0 | M; 0..2",
        "groups": "G",
        "classes": "G; -1..Classes",
        "sizes": "G; 0..",
        **dict.fromkeys(("halfway", "early"), "G 3; share"),
        "halfway_step": "G 3",
        "decided_counts": "G 10; 0..",
        "flip_counts": "G *; 0..",
        "times": "R; rising",
        "margin": "G R 3",
        "error": "0 2 | R 2; share",
        "reliability": "0 10 5 | R 10 5",
    },
    schema.Jumps: {
        "measures": "M; one absolute, relative, standardised",
        "counted": "M; 0..",
        "sequence_ids": "I",
        "displayed": "I; -1..Shown",
        "lengths": "I; 1..",
        "sequences": "M J; -1..I",
        "steps": "M J; -1..; below lengths sequences",
        "values": "M J M; infinite",
        "classes": "M J 2; -1..Classes",
        "context": "M J X; -1..#names",
        "before": "; 0..X",
        "largest": "M; 0..",
        "tested": "M; 0..",
        "types": "M O; -1..#names",
        "type_counts": "M O 3",
        "type_p": "M O; share",
    },
    schema.Similar: {
        "neighbours": "Steps k; -1..Steps",
        "distances": "Steps k; infinite",
        "cosine_share": "; share",
        "compared": "; 0..",
        "same_class": "; share",
        "chance": "; share",
    },
    schema.Health: {
        "scopes": "M; states",
        "widths": "M; 1..",
        "bounded": "M; 0..2",
        "participation": "M 2",
        "directions": "M; 0..",
        "gates": "2 *; share; states",
    },
    schema.CardDifferences: {"names": "n", "before": "n", "now": "n"},
    schema.Memory: {
        "curves": "* 5; column 0 0..; keyed horizons; infinite",
        "horizons": "3; 0..; on curves; infinite",
        **dict.fromkeys(("gate_medians", "decay_medians"), "3; 0..; states; infinite"),
        "lengths": "3; 1..",
        "gate_times": "*; 0..; states; keyed gate_medians; infinite",
        "decay_times": "*; 0..; states; keyed decay_medians; infinite",
    },
    schema.Machine: {
        "answers": "k",
        "classes": "k; -1..",
        "shares": "k; share",
        "steps": "k; 0..",
        "edges": "J 3; column 0 -1..k; column 1 0..k; column 2 1..",
        "causes": "J C; -1..#names",
        "cause_counts": "J C; 0..",
        "fidelity": "3; share",
        **dict.fromkeys(("baseline", "own"), "; share"),
        "held_out": "2; 0..",
        "curve": "* 3; column 0 finite",
        "step_states": "AllSteps; -1..k",
        "displayed": "Steps; -1..k",
        "beginning": "; -1..k",
    },
    schema.GateUse: {
        "scopes": "G; states",
        "steps": "T; 0..",
        "shares": "G 2 T; share",
        "overall": "G; share",
        "words": "G 2 J; -1..Words",
        **dict.fromkeys(("means", "unit_means"), "G 2 J; share"),
        **dict.fromkeys(("low", "high"), "G 2 J"),
        "counts": "G 2 J; 0..",
        "units": "G 2 J; -1..",
    },
    schema.FixedPoints: {
        "scopes": "*; states",
        "inputs": "I",
        "owners": "M; 0..I; increasing",
        "kinds": "M; 0..3",
        "unstable": "M; 0..",
        "speeds": "M",
        "arrivals": "M; 0..",
        "eigenvalues": "M * 2; finite",
        "times": "M R; infinite",
        "readout": "M R",
        "drive": "M R I",
        "plane": "M 2; finite",
        "slow_plane": "L 2; finite",
        "slow_owners": "L; 0..I",
        "path_sequences": "Y; 0..Shown",
        "path_lengths": "Y; 1..",
        "path": "sum(path_lengths) 2; finite",
        "explained": "2; share",
        "nearest": "M 3; -1..Steps",
        "distances": "M 3",
        "outputs": "M T; -1..#output_names",
        "output_values": "M T",
        "counts": "I 5; 0..",
        "placed": "M 2 | M 3",
        "titles": "I",
        "first": "; 0..I",
    },
    schema.Integration: {
        "explained": "*; share",
        **dict.fromkeys(
            ("needed", "share", "slow", "extent", "persistent", "overlap", "participation"), "; keys explained"
        ),
    },
    schema.Lyapunov: {"exponents": "* 3; column 0 finite"},
    schema.Readable: {
        "states": "L; states",
        "properties": "Q",
        "classes": "Q; 0..",
        "times": "T; rising",
        **dict.fromkeys(("accuracy", "control"), "L Q T+1; share"),
        **dict.fromkeys(("low", "high"), "L Q T+1"),
        "frequent": "Q T+1; share",
        **dict.fromkeys(("steps", "sequences"), "Q T+1; 0.."),
    },
    schema.UnitImportance: {
        "scopes": "*; states",
        "rise": "I 3",
        "p_values": "I; share",
        "lost": "I",
        "scope": "U; 0..#scopes",
        "unit": "U; 0..",
        "groups": "U; 0..I; all I",
        "readout": "U",
        "sizes": "J; 1..; rising; least 1",
        **dict.fromkeys(("most", "least", "random"), "J 3"),
        **dict.fromkeys(("whole", "constant", "enough", "needed"), "3"),
        "agreement": "4",
    },
    schema.InputAttribution: {
        "sequences": "M; 0..Shown",
        "lengths": "M; 1..",
        "names": "M",
        "steps": "M; 0..",
        **dict.fromkeys(("value", "baseline", "errors", "agreements"), "M"),
        "gradients": "sum(lengths)",
        "occlusion": "sum(lengths)",
        "agreement": "4",
        "pairs": "* 2",
        "groups": "G",
        "sizes": "G; 0..",
        "words": "R",
        "group": "R; 0..G",
        "means": "R 3",
        "p_values": "R; share",
        **dict.fromkeys(("occurrences", "word_sequences"), "R; 0.."),
    },
    schema.GradientReach: {
        "scopes": "L; states",
        "curves": "* 5; states; column 0 0..; column 0 finite; infinite",
        "factors": "L 3; infinite",
        "remaining": "L 3; infinite",
        "verdicts": "L; one vanishing, exploding, sound",
        "rows": "R",
        "lags": "C; 0..; rising",
        "matrix": "R C; infinite",
    },
    Landmarks: {
        "epochs": "*; rising",
        "steps": "*; 0..; rising",
        "units": "U; 0..",
        "sequences": "S; 0..",
        "of_unit": "J; 0..U",
        "centres": "J S",
        "plane": "J 2",
        "space": "J 3",
    },
    **COMPARED,
}
