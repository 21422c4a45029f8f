"""From a configuration to a packaged classifier and its card."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.dlpack import from_dlpack

import portfire
from portfire.recipes.image_classification import card, data
from portfire.recipes.image_classification.config import PRESETS, Config
from portfire.recipes.image_classification.model import Classifier, build
from portfire.train.card import card_path, config_json, provenance, write_card
from portfire.train.classifier import TrainableClassifier
from portfire.train.latency import measure_latency
from portfire.train.loop import fit, is_main
from portfire.train.metrics import Metrics, classification_metrics
from portfire.train.run import Recipe, RunOptions, RunResult
from portfire.train.splits import for_statistics, one_of_each_first, stratified_split

_EVALUATION_BATCH = 256
_GOLDEN_SIDE = 256  # pixels; larger golden pictures are made smaller first


def run(config: Config, options: RunOptions) -> RunResult | None:
    """Trains, evaluates on the held-out pictures, packages, measures and writes the card.

    None in all processes of a multi-process run but the main one.
    """
    pictures = data.load(config.data, options.data)
    report = options.report if is_main() else lambda line: None
    report(
        f"{config.name}: {len(pictures.train):,} pictures to train with, "
        f"{len(pictures.held_out):,} held out, {len(pictures.labels)} classes"
    )
    torch.manual_seed(config.seed)
    model = build(config.model, len(pictures.labels))
    module = TrainableClassifier(model, config.train, config.seed)
    train, validation = _samples(pictures, model, config)
    fitted = fit(
        module,
        train,
        validation,
        run_dir=options.runs / config.name,
        title=config.name,
        config=config_json(config),
        resume=options.resume,
    )
    seconds = sum(epoch.seconds for epoch in fitted.curve)
    if not is_main():
        return None
    model.cpu().eval()
    metrics = evaluate(model, pictures)
    report(
        f"{config.name}: held-out accuracy {metrics.accuracy:.2%} ({metrics.correct:,} of "
        f"{metrics.count:,}), {len(fitted.curve)} epochs in {seconds:.0f} s"
    )
    path = options.models / config.name / str(config.version) / "model.pt"
    summary = card.summary(pictures)
    command = options.command or f"portfire-train {RECIPE.name} --preset {config.name}"
    origin = provenance(RECIPE.name, config, summary, command)
    measured = for_statistics(len(pictures.held_out))
    golden = golden_pictures(pictures.held_out, config.golden)
    portfire.package(
        model,
        path,
        name=config.name,
        version=config.version,
        labels=pictures.labels,
        golden=golden,
        licence=config.licence,
        formats=("torchscript", "graph"),
        statistics=(pictures.held_out.image(k).contiguous() for k in measured) if measured else None,
        description=config.description,
        provenance={
            **origin,
            "metrics": {"held_out_accuracy": metrics.accuracy, "held_out_macro_f1": metrics.macro_f1},
        },
    )
    sample = model.preprocess(from_dlpack(portfire.decode_image(golden[0]))).unsqueeze(0)
    result = RunResult(
        name=config.name,
        package=path,
        card=card_path(options.models, config.name),
        metrics=metrics,
        curve=fitted.curve,
        latency=measure_latency(path, sample, golden[0]),
        parameters=sum(x.numel() for x in model.parameters()),
        package_bytes=path.stat().st_size,
        seconds=seconds,
    )
    write_card(result, origin, config, summary, card.card_text(config, summary))
    report(
        f"{config.name}: {path} ({result.package_bytes:,} bytes, verified; {result.latency.forward_us:.0f} "
        f"µs a forward call), {result.card}"
    )
    return result


def _samples(
    pictures: data.PictureSet, model: Classifier, config: Config
) -> tuple[data.Samples, data.Samples | None]:
    train = pictures.train
    if not config.data.validation:
        return data.Samples(train, model, config.augment), None
    rest, watched = stratified_split(
        train.targets, config.data.validation, config.data.split_seed, noun="pictures"
    )
    return data.Samples(train.take(rest), model, config.augment), data.Samples(train.take(watched), model)


def evaluate(model: Classifier, pictures: data.PictureSet) -> Metrics:
    """Every held-out picture through preprocess, forward and postprocess."""
    held_out, predicted = pictures.held_out, []
    with torch.inference_mode():
        for first in range(0, len(held_out), _EVALUATION_BATCH):
            samples = torch.stack(
                [
                    model.preprocess(held_out.image(k))
                    for k in range(first, min(first + _EVALUATION_BATCH, len(held_out)))
                ]
            )
            predicted += [int(model.postprocess(logits).argmax()) for logits in model(samples)]
    return classification_metrics(torch.tensor(predicted), held_out.targets, pictures.labels)


def golden_pictures(held_out: data.Pictures, count: int) -> list[bytes]:
    """PNG files of held-out pictures, of different classes as far as they go, none large. PNG, because it
    decodes to the same pixels with every library."""
    order = one_of_each_first(held_out.targets)
    return [portfire.encode_png(_small(held_out.image(k)).contiguous().numpy()) for k in order[:count]]


def _small(image: Tensor) -> Tensor:
    height, width = image.shape[:2]
    scale = _GOLDEN_SIDE / max(height, width)
    if scale >= 1:
        return image
    x = image.permute(2, 0, 1).unsqueeze(0).float()
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    x = F.interpolate(x, size, mode="bilinear", antialias=True)
    return x[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8)


RECIPE = Recipe(
    name="image-classification",
    summary="classifies pictures: digits, MNIST, any folder of class folders",
    presets=lambda: {name: preset() for name, preset in PRESETS.items()},
    run=run,
)
