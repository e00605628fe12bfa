"""The reproducibility card of a run against that of its baseline."""

from __future__ import annotations

from rnnreport.results.folder import RunFolder
from rnnreport.results.provenance import read_provenance
from rnnreport.results.schema import CardDifferences

_NO_INFLUENCE = ("baseline", "force", "name", "open", "out")  # options that change no number


def card_differences(baseline: RunFolder, run: RunFolder) -> CardDifferences:
    """What was different when the two runs were made; a difference of results may come from any of it.

    Parameters
    ----------
    baseline, run : RunFolder
    """
    before, now = _card(baseline), _card(run)
    names = tuple(dict.fromkeys((*now, *before)))
    known = {name: (before.get(name, ""), now.get(name, "")) for name in names}
    different = tuple(name for name in names if known[name][0] != known[name][1])
    return CardDifferences(
        baseline=baseline.manifest().name,
        names=different,
        before=tuple(known[name][0] for name in different),
        now=tuple(known[name][1] for name in different),
        same=tuple(name for name in names if name not in different and known[name][0]),
    )


def _card(folder: RunFolder) -> dict[str, str]:
    """What decides the results of a run, by name; the command says nothing that its settings do not."""
    manifest, stages = folder.manifest(), read_provenance(folder)
    model, corpus = manifest.model, manifest.corpus
    layers = f"{model['cell']}, {model['layers']} x {model['units']}, {model['parameters']:,} parameters"
    card = {
        "model": layers,
        "model made by": model["source"],
        "weights, SHA-256": model["weights_sha256"],
        "corpus": corpus["name"],
        "corpus, SHA-256": corpus["sha256"],
        "probe set, SHA-256": manifest.probe_sha256,
        "expected prediction": manifest.head,
        "seed": str(manifest.seed),
        **{f"version of {name}": version for name, version in manifest.versions.items()},
    }
    capture = stages.get("capture")
    if capture:
        card |= {
            "commit": capture.commit + (" with changes" if capture.dirty else ""),
            "device": capture.device,
            "threads": str(capture.threads),
            "platform": capture.platform,
            **{f"--{name}": _text(value) for name, (value, _) in capture.settings.items() if name not in _NO_INFLUENCE},
        }
    return card


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
