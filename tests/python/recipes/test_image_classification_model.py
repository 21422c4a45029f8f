"""Every preset's module: that it can be built, scripted and trained, and what its preprocessing does."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from portfire import _torchscript
from portfire.recipes.image_classification.config import PRESETS, Config, ModelConfig
from portfire.recipes.image_classification.model import Classifier, build

CLASSES = 7


def picture(height: int, width: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (height, width, 3), dtype=torch.uint8, generator=generator)


def classifier(**changes: object) -> Classifier:
    return build(ModelConfig(kind="linear", **changes), CLASSES)  # type: ignore[arg-type]


@pytest.fixture(params=PRESETS, ids=str)
def preset(request: pytest.FixtureRequest) -> Config:
    return PRESETS[request.param]()


def test_a_presets_name_is_its_own() -> None:
    assert [preset().name for preset in PRESETS.values()] == list(PRESETS)


def test_every_preset_answers_any_picture_as_script_and_as_python(preset: Config) -> None:
    model = build(preset.model, CLASSES).eval()
    scripted = _torchscript.script(model, ("preprocess", "forward", "postprocess"))
    for height, width in ((8, 8), (28, 28), (1, 1), (300, 41), (17, 640)):
        image = picture(height, width)
        with torch.inference_mode():
            answers = [m.postprocess(m(m.preprocess(image)[None])[0]) for m in (model, scripted)]
        assert answers[0].shape == (CLASSES,)
        assert answers[0].sum().item() == pytest.approx(1, abs=1e-5)
        assert torch.allclose(answers[0], answers[1], atol=1e-6)


def test_every_preset_learns_from_every_parameter(preset: Config) -> None:
    torch.manual_seed(0)
    model = build(preset.model, CLASSES).train()
    batch = torch.stack([model.preprocess(picture(30, 40, seed)) for seed in range(4)])
    F.cross_entropy(model(batch), torch.tensor([0, 1, 2, 3])).backward()
    assert all(x.grad is not None and bool(x.grad.any()) for x in model.parameters())


def test_a_picture_of_the_right_size_is_only_normalised() -> None:
    model = classifier(size=8)
    image = picture(8, 8)[..., :1].expand(-1, -1, 3)
    expected = (image[..., 0].float() / 255 - model.mean) / model.deviation
    assert torch.allclose(model.preprocess(image), expected.unsqueeze(0), atol=1e-6)


def test_colours_become_grey_by_luminance() -> None:
    model = classifier(size=8)
    values = [
        model.preprocess(torch.tensor(colour, dtype=torch.uint8).expand(8, 8, 3)).mean() * model.deviation
        + model.mean
        for colour in ([255, 0, 0], [0, 255, 0], [0, 0, 255])
    ]
    assert torch.stack(values).tolist() == pytest.approx([0.299, 0.587, 0.114], abs=1e-5)


def test_a_large_picture_is_averaged_not_sampled() -> None:
    board = ((torch.arange(64)[:, None] + torch.arange(64)) % 2 * 255).to(torch.uint8)
    model = classifier(size=8)
    sample = model.preprocess(board.unsqueeze(-1).expand(-1, -1, 3)) * model.deviation + model.mean
    assert torch.allclose(sample, torch.full_like(sample, 0.5), atol=0.02)


@pytest.mark.parametrize(("height", "width"), [(100, 300), (300, 100), (33, 31), (16, 16)])
def test_crop_keeps_the_middle(height: int, width: int) -> None:
    model = classifier(size=16, channels=3, fit="crop")
    image = torch.zeros(height, width, 3, dtype=torch.uint8)
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    image[top : top + short, left : left + short] = 255
    sample = model.preprocess(image) * model.deviation + model.mean
    assert sample.shape == (3, 16, 16)
    assert sample[:, 1:-1, 1:-1].min() > 0.95
