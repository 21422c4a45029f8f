import copy

import pytest
import torch
from torch import Tensor, nn

from portfire.train.muon import Muon, orthogonal


def made(seed: int = 0) -> tuple[nn.Linear, Muon]:
    torch.manual_seed(seed)
    layer = nn.Linear(8, 6)
    return layer, Muon([layer.weight], [layer.bias], lr=0.02, weight_decay=0.1, betas=(0.9, 0.99))


def take(layer: nn.Linear, optimizer: torch.optim.Optimizer, steps: int) -> None:
    for k in range(steps):
        x = torch.randn(16, 8, generator=torch.Generator().manual_seed(k))
        optimizer.zero_grad()
        (layer(x) - x[:, :6].flip(1)).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("shape", [(6, 6), (3, 9), (9, 3)])
def test_a_matrix_becomes_nearly_orthogonal(shape: tuple[int, int]) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 100
    values = torch.linalg.svdvals(orthogonal(x))
    assert orthogonal(x).shape == x.shape
    assert bool((values > 0.6).all() and (values < 1.3).all())
    u, _, v = torch.linalg.svd(x, full_matrices=False)
    assert float((orthogonal(x) * (u @ v)).sum() / values.square().sum().sqrt() / 3**0.5) > 0.9


def test_no_gradient_leaves_a_matrix_where_it_is() -> None:
    assert torch.equal(orthogonal(torch.zeros(3, 4)), torch.zeros(3, 4))


def test_its_steps_are_those_of_torch() -> None:
    """But for bfloat16 there, and for AdamW's of the bias."""
    layer, optimizer = made()
    take(layer, optimizer, 20)
    other, _ = made()
    theirs: list[torch.optim.Optimizer] = [
        torch.optim.Muon([other.weight], lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW([other.bias], lr=0.02, weight_decay=0.0, betas=(0.9, 0.99)),
    ]
    for k in range(20):
        x = torch.randn(16, 8, generator=torch.Generator().manual_seed(k))
        (other(x) - x[:, :6].flip(1)).square().mean().backward()
        for optimizer_k in theirs:
            optimizer_k.step()
            optimizer_k.zero_grad()
    assert torch.allclose(layer.weight, other.weight, atol=0.01)
    assert torch.allclose(layer.bias, other.bias, atol=0.003)


def test_it_goes_on_from_its_state() -> None:
    whole, optimizer = made()
    take(whole, optimizer, 4)
    weights: dict[str, Tensor] = {key: x.clone() for key, x in whole.state_dict().items()}
    state = copy.deepcopy(optimizer.state_dict())
    take(whole, optimizer, 3)
    again, fresh = made(seed=1)
    again.load_state_dict(weights)
    fresh.load_state_dict(state)
    take(again, fresh, 3)
    assert torch.equal(whole.weight, again.weight)
    assert torch.equal(whole.bias, again.bias)
