"""What a person reads when a module cannot be scripted."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import portfire
from portfire import _torchscript


class WrongArgument(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.nn.functional.linear(x, 3)  # wrong


class ImportInside(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        import math

        return x * math.pi


class Variadic(nn.Module):
    def forward(self, x: Tensor, *more: Tensor) -> Tensor:
        return x


class Lambda(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.function = lambda x: x

    def forward(self, x: Tensor) -> Any:
        return self.function(x)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (
            WrongArgument,
            "Expected a value of type 'Tensor' for argument 'weight' but instead found type 'int'",
        ),
        (ImportInside, "import statements aren't supported"),
        (Variadic, "variable number of arguments"),
        (Lambda, "has no attribute 'function'"),
    ],
)
def test_the_reason_and_the_source_line_are_named(kind: type[nn.Module], said: str) -> None:
    with pytest.raises(portfire.InvalidArgumentError) as caught:
        _torchscript.script(kind(), ("forward",))
    message = str(caught.value)
    assert message.startswith(f"{kind.__name__} cannot be scripted: ")
    assert said in message
    assert "test_torchscript.py:" in message
    assert "\n" not in message


def test_a_message_of_another_form_is_kept() -> None:
    assert _torchscript.summary("\n\nsomething went wrong:\n") == "something went wrong"
    assert _torchscript.summary("") == "no reason given"
