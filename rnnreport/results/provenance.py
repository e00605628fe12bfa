"""``provenance.json``: how each stage of a run came about, as far as the manifest does not say it.

It is optional: a run that was recorded by a training loop has none. It holds no user names and no absolute paths.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rnnreport.results import store
from rnnreport.results.folder import RunFolder

_NAME = "provenance.json"


@dataclass(frozen=True)
class StageCard:
    """What is known of one stage.

    Attributes
    ----------
    command : str, as typed
    settings : dict, name of an option to [value, origin]: "command line", "environment", "settings file" or "default"
    threads : int, of the numeric libraries
    device : str, where the model ran; "" for a stage without a model
    platform : str, system and machine type
    versions : dict, package to version
    commit : str, of the working directory's git repository; "" without one
    dirty : bool, whether tracked files differed from it
    seconds : dict, part of the stage to the seconds it took, in order
    """

    command: str
    settings: dict[str, Any]
    threads: int
    device: str
    platform: str
    versions: dict[str, str]
    commit: str
    dirty: bool
    seconds: dict[str, float]


def read_provenance(folder: RunFolder) -> dict[str, StageCard]:
    """The cards of a run by the name of their stage: "capture", "analyse"; {} where nothing is known.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    path = folder.path / _NAME
    if not path.is_file():
        return {}
    try:
        cards: dict[str, StageCard] = store.from_plain(store.read_json(path), dict[str, StageCard], path)
    except store.DamagedError as error:
        raise store.DamagedError(error.what, "delete it; the page then lacks how the run was made") from error
    return cards


def write_provenance(folder: RunFolder, stage: str, card: StageCard) -> None:
    """Keep the card of a stage, in place of an earlier one."""
    store.write_json(folder.made / _NAME, {**read_provenance(folder), stage: card})
