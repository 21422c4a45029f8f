"""models/<name>/config.json is what today's preset of that name is, and what a run of it would write."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import pytest

from portfire.train.card import config_json
from portfire.train.cli import RECIPES

_MODELS = Path(__file__).parents[3] / "models"
_CARDS = sorted(_MODELS.glob("*/config.json"))


def test_every_card_has_a_configuration() -> None:
    assert len(_CARDS) >= 19
    assert [card.parent for card in sorted(_MODELS.glob("*/card.md"))] == [card.parent for card in _CARDS]


@pytest.mark.parametrize("path", _CARDS, ids=lambda path: path.parent.name)
def test_a_card_holds_its_presets_configuration(path: Path) -> None:
    record = json.loads(path.read_text(encoding="utf-8"))
    presets = import_module(RECIPES[record["recipe"]]).RECIPE.presets()
    name = path.parent.name
    assert record["command"] == f"portfire-train {record['recipe']} --preset {name}"
    config = config_json(presets[name])
    assert json.dumps(record["config"], indent=1) == json.dumps(config, indent=1)  # the order of fields too
    assert path.read_text(encoding="utf-8") == json.dumps(record, indent=1, ensure_ascii=False) + "\n"
