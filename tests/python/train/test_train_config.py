from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

import portfire
from portfire.train.config import differences, override, require, to_json


@dataclass(frozen=True, kw_only=True)
class Section:
    count: int = 1
    rate: float = 0.5
    on: bool = False
    kind: Literal["a", "b"] = "a"
    channels: Literal[1, 3] = 1
    sizes: tuple[int, ...] = (1, 2)
    folder: Path | None = None

    def __post_init__(self) -> None:
        require(self.count > 0, f"section.count is {self.count}; at least 1 is needed")
        require(self.folder is None or self.kind == "b", "section.folder is for section.kind=b; set both")


@dataclass(frozen=True, kw_only=True)
class Whole:
    name: str = "x"
    section: Section = field(default_factory=Section)


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        ("count=12", 12),
        ("rate=1e-3", 1e-3),
        ("rate=2", 2.0),
        ("on=true", True),
        ("kind=b", "b"),
        ("channels=3", 3),
        ("sizes=3, 4,5", (3, 4, 5)),
        ("folder=none", None),
    ],
)
def test_a_field_is_set_as_its_type(assignment: str, value: object) -> None:
    changed = getattr(override(Whole(), [f"section.{assignment}"]).section, assignment.split("=")[0])
    assert changed == value
    assert type(changed) is type(value) or isinstance(value, Path)


@pytest.mark.parametrize("order", [1, -1])
def test_fields_that_need_each_other_are_set_together(order: int) -> None:
    assignments = ["section.kind=b", "section.folder=a/b"][::order]
    assert override(Whole(), assignments).section == Section(kind="b", folder=Path("a/b"))


def test_the_last_assignment_to_a_field_holds() -> None:
    assert override(Whole(), ["section.count=2", "section.count=3"]).section.count == 3


def test_assignments_add_up() -> None:
    config = override(Whole(), ["name=y", "section.count=2", "section.rate=1"])
    assert config == Whole(name="y", section=Section(count=2, rate=1.0))


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("section.cuont=1", "count, rate, on, kind, channels, sizes, folder"),
        ("nmae=1", "name, section"),
        ("section=1", r"section\.count"),
        ("name.x=1", "not a section"),
        ("section.count", "section.field=value"),
        ("section.count=1.5", "no int"),
        ("section.on=yes", "true or false"),
        ("section.kind=c", "one of a, b"),
        ("section.count=0", "at least 1"),
        ("section.folder=a", r"for section\.kind=b"),
    ],
)
def test_refuses(assignment: str, said: str) -> None:
    with pytest.raises(portfire.InvalidArgumentError, match=said):
        override(Whole(), [assignment])


def test_json_is_plain() -> None:
    config = override(Whole(), ["section.kind=b", "section.folder=a"])
    assert to_json(config)["section"] == {
        "count": 1, "rate": 0.5, "on": False, "kind": "b", "channels": 1, "sizes": [1, 2], "folder": "a",
    }  # fmt: skip


def test_differences_are_paths() -> None:
    a, b = to_json(Whole()), to_json(override(Whole(), ["name=y", "section.count=2"]))
    assert differences(a, b) == ["name", "section.count"]
    assert differences(a, a) == []
