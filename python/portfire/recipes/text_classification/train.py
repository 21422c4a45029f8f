"""From a configuration to a packaged classifier and its card."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

import portfire
from portfire.recipes.text_classification import card, data
from portfire.recipes.text_classification.config import PRESETS, Config
from portfire.recipes.text_classification.model import Classifier, CountedBag, build
from portfire.recipes.text_classification.tokenizer import build_tokenizer
from portfire.train.calibration import calibration, fit_temperature
from portfire.train.card import card_path, config_json, provenance, write_card
from portfire.train.classifier import TrainableClassifier
from portfire.train.latency import measure_latency
from portfire.train.loop import fit, is_main
from portfire.train.metrics import classification_metrics
from portfire.train.run import Recipe, RunOptions, RunResult
from portfire.train.splits import for_statistics, one_of_each_first, stratified_split

_EVALUATION_BATCH = 256


class _Trainable(TrainableClassifier):
    """Counted n-grams take plain steps with momentum: steps of equal size for every id, as AdamW's are, would
    follow the rare ones."""

    def optimizer(self) -> torch.optim.Optimizer:
        if not isinstance(self.model.net, CountedBag):
            return super().optimizer()
        return torch.optim.SGD(
            self.model.parameters(),
            lr=self.loop.learning_rate,
            momentum=0.9,
            nesterov=True,
            weight_decay=self.loop.weight_decay,
        )


def run(config: Config, options: RunOptions) -> RunResult | None:
    """Trains, fits the temperature on the validation texts, evaluates on the held-out ones, packages,
    measures and writes the card.

    None in all processes of a multi-process run but the main one.
    """
    texts = data.load(config.data, options.data)
    report = options.report if is_main() else lambda line: None
    report(
        f"{config.name}: {len(texts.train):,} texts to train with, {len(texts.held_out):,} held out, "
        f"{len(texts.labels)} classes"
    )
    rest, watched = stratified_split(
        texts.train.targets,
        config.data.validation,
        config.data.split_seed,
        noun="texts",
        groups=texts.train.texts,
    )
    parts = {
        "train": texts.train.take(rest),
        "validation": texts.train.take(watched),
        "held out": texts.held_out,
    }
    content = build_tokenizer(config.tokenizer, parts["train"].texts)
    tokenizer = portfire.Tokenizer.from_bytes(content)
    ids = {
        name: data.encode(part.texts, tokenizer, config.tokenizer.max_tokens) for name, part in parts.items()
    }
    torch.manual_seed(config.seed)
    model = build(config.model, tokenizer.vocabulary_size, len(texts.labels))
    model.begin(ids["train"], parts["train"].targets)
    fitted = fit(
        _Trainable(model, config.train, config.seed),
        data.Samples(ids["train"], parts["train"].targets, config.model.token_dropout),
        data.Samples(ids["validation"], parts["validation"].targets),
        run_dir=options.runs / config.name,
        title=config.name,
        config=config_json(config),
        resume=options.resume,
    )
    seconds = sum(epoch.seconds for epoch in fitted.curve)
    if not is_main():
        return None
    model.cpu().eval()
    model.finish(fit_temperature(answer(model, ids["validation"]), parts["validation"].targets))
    logits = answer(model, ids["held out"])
    metrics = classification_metrics(logits.argmax(1), texts.held_out.targets, texts.labels)
    measured = calibration(logits, texts.held_out.targets, float(model.temperature))
    report(
        f"{config.name}: held-out accuracy {metrics.accuracy:.2%} ({metrics.correct:,} of "
        f"{metrics.count:,}), {len(fitted.curve)} epochs in {seconds:.0f} s"
    )
    path = options.models / config.name / str(config.version) / "model.pt"
    summary = card.summary(texts)
    command = options.command or f"portfire-train {RECIPE.name} --preset {config.name}"
    origin = provenance(RECIPE.name, config, summary, command)
    golden = [texts.held_out.texts[k] for k in golden_texts(texts.held_out, ids["held out"], config.golden)]
    portfire.package(
        model,
        path,
        task="text-classification",
        tokenizer=content,
        max_tokens=config.tokenizer.max_tokens,
        name=config.name,
        version=config.version,
        labels=texts.labels,
        golden=golden,
        licence=config.licence,
        formats=("torchscript", "graph"),
        statistics=[texts.held_out.texts[k] for k in for_statistics(len(texts.held_out))] or None,
        description=config.description,
        provenance={
            **origin,
            "metrics": {"held_out_accuracy": metrics.accuracy, "held_out_macro_f1": metrics.macro_f1},
        },
    )
    (first,) = data.encode(golden[:1], tokenizer, config.tokenizer.max_tokens)
    result = RunResult(
        name=config.name,
        package=path,
        card=card_path(options.models, config.name),
        metrics=metrics,
        calibration=measured,
        curve=fitted.curve,
        latency=measure_latency(path, data.padded([first]), golden[0].encode()),
        parameters=sum(x.numel() for x in model.parameters()),
        package_bytes=path.stat().st_size,
        seconds=seconds,
    )
    write_card(
        result, origin, config, summary, card.card_text(config, texts, tokenizer.vocabulary_size, measured)
    )
    report(
        f"{config.name}: {path} ({result.package_bytes:,} bytes, verified; {result.latency.forward_us:.0f} "
        f"µs a forward call), {result.card}"
    )
    return result


def golden_texts(held_out: data.Texts, ids: Sequence[Tensor], count: int) -> list[int]:
    """Which held-out texts to store: of different classes as far as they go, and not all of one length, for
    the package has to show what follows a text's length. ids: int64 [T] of each."""
    order = one_of_each_first(held_out.targets)
    chosen, lengths = order[:count], [len(ids[k]) for k in order]
    other = next((k for k, length in zip(order, lengths, strict=True) if length != lengths[0]), None)
    if len(set(lengths[:count])) == 1 and other is not None:
        chosen[-1] = other
    return chosen


def answer(model: Classifier, ids: Sequence[Tensor]) -> Tensor:
    """The logits of texts, float32 [count, K], before the temperature. ids: int64 [T] of each."""
    order = sorted(
        range(len(ids)), key=lambda k: len(ids[k])
    )  # of like lengths, for there is less padding then
    pieces = [order[first : first + _EVALUATION_BATCH] for first in range(0, len(order), _EVALUATION_BATCH)]
    with torch.inference_mode():
        logits = torch.cat([model(*data.padded([ids[k] for k in piece])) for piece in pieces])
    return logits[torch.tensor(order).argsort()]


RECIPE = Recipe(
    name="text-classification",
    summary="classifies texts: names, sentiment, any table of texts with labels",
    presets=lambda: {name: preset() for name, preset in PRESETS.items()},
    run=run,
)
