"""From a configuration to a packaged language model and its card."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

import portfire
from portfire._generation import empty_state
from portfire.manifest import GenerationSpec
from portfire.recipes.text_generation import card, data
from portfire.recipes.text_generation.config import PRESETS, RECURRENT, Config, TrainConfig
from portfire.recipes.text_generation.model import (
    GPT,
    GRULanguageModel,
    LanguageModel,
    Llama,
    LSTMLanguageModel,
)
from portfire.recipes.text_generation.tokenizer import build_tokenizer
from portfire.train.batches import Batch
from portfire.train.card import card_path, config_json, provenance
from portfire.train.loop import Trainable, fit, is_main
from portfire.train.muon import Muon
from portfire.train.run import Recipe, RunOptions

_EVALUATION_TOKENS = 1 << 12  # of a batch; of words each has tens of thousands of logits
_CARRIED = 1 << 10  # tokens that a recurrent network reads in one call
_LONGEST_GOLDEN = 256  # tokens


class _Trainable(Trainable):
    """Cross-entropy of the next token, and how often it is the likeliest. AdamW leaves biases and the scales
    of normalisation undecayed, as GPT-2's successors do."""

    model: LanguageModel
    loop: TrainConfig

    def __init__(self, model: LanguageModel, loop: TrainConfig, seed: int, steps: int) -> None:
        super().__init__(model, loop, seed)
        self.steps = steps  # of the whole run

    def training_step(self, batch: tuple[Tensor, Tensor], batch_number: int) -> Tensor:
        return self._loss("train", batch, self.loop.label_smoothing)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_number: int) -> None:
        self._loss("validation", batch, 0.0)

    def optimizer(self) -> torch.optim.Optimizer:
        loop = self.loop
        if loop.optimizer == "muon":
            named = list(self.model.named_parameters())
            inner = {name for name, x in named if name.startswith("blocks.") and x.dim() == 2}
            return Muon(
                [x for name, x in named if name in inner],
                [x for name, x in named if name not in inner],
                lr=loop.learning_rate,
                weight_decay=loop.weight_decay,
                betas=(loop.betas[0], loop.betas[1]),
            )
        parameters = list(self.model.parameters())
        groups = [
            {"params": [x for x in parameters if x.dim() > 1], "weight_decay": loop.weight_decay},
            {"params": [x for x in parameters if x.dim() <= 1], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=loop.learning_rate, betas=(loop.betas[0], loop.betas[1]))

    def configure_optimizers(self) -> Any:
        optimizer = self.optimizer()
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: rate(self.loop, step, self.steps) / self.loop.learning_rate
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _loss(self, part: str, batch: tuple[Tensor, Tensor], smoothing: float) -> Tensor:
        ids, targets = batch
        logits, wanted = self.model.logits(ids).flatten(0, 1), targets.flatten()
        loss = F.cross_entropy(logits, wanted, ignore_index=data.NO_TARGET, label_smoothing=smoothing)
        asked = wanted != data.NO_TARGET
        right = ((logits.argmax(1) == wanted) & asked).sum() / asked.sum()
        self.log_dict(
            {f"{part}_loss": loss, f"{part}_accuracy": right},
            on_step=False,
            on_epoch=True,
            batch_size=int(asked.sum()),
            sync_dist=self.trainer.world_size > 1,
        )
        return loss


def rate(loop: TrainConfig, step: int, steps: int) -> float:
    """The learning rate of a step, from 0: a linear rise, then half a cosine down to the last one."""
    if loop.schedule == "constant":
        return loop.learning_rate
    if step < loop.warmup:
        return loop.learning_rate * (step + 1) / (loop.warmup + 1)
    done = min(1.0, (step - loop.warmup) / max(1, steps - loop.warmup))
    span = loop.learning_rate - loop.last_learning_rate
    return loop.last_learning_rate + span * 0.5 * (1 + math.cos(math.pi * done))


def build(config: Config, vocabulary: int) -> LanguageModel:
    """The network of a configuration, with random weights."""
    model = config.model
    if model.kind in RECURRENT:
        return (GRULanguageModel if model.kind == "gru" else LSTMLanguageModel)(
            vocabulary,
            layers=model.layers,
            channels=model.width,
            dropout=model.dropout,
            tied=model.tied,
        )
    if model.kind == "llama":
        return Llama(
            vocabulary,
            context=config.context,
            layers=model.layers,
            heads=model.heads,
            kv_heads=model.kv_heads,
            channels=model.width,
            hidden=model.hidden,
        )
    return GPT(
        vocabulary,
        context=config.context,
        layers=model.layers,
        heads=model.heads,
        channels=model.width,
        dropout=model.dropout,
    )


def run(config: Config, options: RunOptions) -> card.Result | None:
    """Trains, evaluates on the whole validation part, packages, writes a sample and the card.

    None in all processes of a multi-process run but the main one.
    """
    corpus = data.load(config.data, options.data)
    report = options.report if is_main() else lambda line: None
    content = build_tokenizer(config.tokenizer, corpus.train)
    tokenizer = portfire.Tokenizer.from_bytes(content)
    room = card.room(config, tokenizer)
    ids = data.encode(corpus.train, tokenizer)
    held_out = data.encode(corpus.validation, tokenizer)
    report(
        f"{config.name}: {len(corpus.train):,} characters to train with, {len(corpus.validation):,} to "
        f"validate with, {tokenizer.vocabulary_size:,} tokens in the vocabulary"
    )
    torch.manual_seed(config.seed)
    model = build(config, tokenizer.vocabulary_size)
    loop, window = config.train, config.data.window
    fitted = fit(
        _Trainable(model, loop, config.seed, loop.epochs * config.data.steps),
        data.RandomWindows(ids, window, config.data.steps * loop.batch_size),
        data.ConsecutiveWindows(held_out, window),
        run_dir=options.runs / config.name,
        title=config.name,
        config=config_json(config),
        resume=options.resume,
    )
    seconds = sum(epoch.seconds for epoch in fitted.curve)
    if not is_main():
        return None
    model.cpu().eval()
    metrics = measure(model, config, corpus, tokenizer)
    report(
        f"{config.name}: {', '.join(f'{name} {value:.4f}' for name, value in metrics.items())}, "
        f"{len(fitted.curve)} epochs in {seconds:.0f} s"
    )
    path = options.models / config.name / str(config.version) / "model.pt"
    summary = card.summary(corpus)
    command = options.command or f"portfire-train {RECIPE.name} --preset {config.name}"
    origin = provenance(RECIPE.name, config, summary, command)
    most = min(config.context, _LONGEST_GOLDEN)
    portfire.package(
        model,
        path,
        task=RECIPE.name,
        tokenizer=content,
        generation=GenerationSpec(context=config.context),
        state=model.state_shapes(),
        name=config.name,
        version=config.version,
        golden=data.golden_texts(corpus.validation, config.golden, most, tokenizer),
        licence=config.licence,
        formats=("torchscript", "graph"),
        description=config.description,
        provenance={**origin, "metrics": metrics},
    )
    result = card.Result(
        name=config.name,
        package=path,
        card=card_path(options.models, config.name),
        metrics=metrics,
        curve=fitted.curve,
        kept=fitted.kept,
        samples=card.write_samples(path, config.prompt, room),
        speed=card.measure_speed(path, config.prompt, room),
        parameters=sum(x.numel() for x in model.parameters()),
        vocabulary=tokenizer.vocabulary_size,
        package_bytes=path.stat().st_size,
        seconds=seconds,
    )
    card.write_card(result, origin, config, corpus)
    report(
        f"{config.name}: {path} ({result.package_bytes:,} bytes, verified; "
        f"{result.speed.tokens_per_second:,.0f} tokens a second), {result.card}"
    )
    return result


def measure(
    model: LanguageModel, config: Config, corpus: data.Corpus, tokenizer: portfire.Tokenizer
) -> dict[str, float]:
    """Losses in nats a token, of every token but a text's first; perplexity is their exponential."""

    def loss(ids: Tensor) -> float:
        carried = config.model.kind in RECURRENT
        nats = carried_nats(model, ids) if carried else window_nats(model, ids, config.data.window)
        return nats / (len(ids) - 1)

    held_out = data.encode(corpus.validation, tokenizer)
    metrics = {"validation_loss": loss(held_out)}
    if config.words:
        metrics["validation_perplexity"] = math.exp(metrics["validation_loss"])
    else:
        bits = metrics["validation_loss"] * (len(held_out) - 1) / math.log(2)
        metrics["bits_per_character"] = bits / len(corpus.validation)
    if corpus.test:
        test = data.encode(corpus.test, tokenizer)
        metrics["test_loss"] = loss(test)
        metrics["test_perplexity"] = math.exp(metrics["test_loss"])
        if config.words:
            metrics["test_unknown"] = float((test == 0).double().mean())
            metrics["test_unknown_in_the_file"] = data.unknown_share(corpus.test)
    return metrics


def window_nats(model: LanguageModel, ids: Tensor, window: int) -> float:
    """The negative logarithm of the probability of ids, int64 [T], but the first: each of windows that follow
    one another is read from its own beginning."""
    windows = data.ConsecutiveWindows(ids, window)
    size = max(1, _EVALUATION_TOKENS // window)
    total = 0.0
    with torch.inference_mode():
        for first in range(0, len(windows), size):
            last = min(first + size, len(windows))
            inputs, targets = windows[Batch(indices=tuple(range(first, last)), seed=0)]
            total += _nats(model.logits(inputs).flatten(0, 1), targets.flatten())
    return total


def carried_nats(model: LanguageModel, ids: Tensor) -> float:
    """The same of a recurrent network whose state is carried through the whole text, by the packaged
    `forward`."""
    state = empty_state(model.state_shapes(), 1, 1)
    total = 0.0
    with torch.inference_mode():
        for first in range(0, len(ids) - 1, _CARRIED):
            last = min(first + _CARRIED, len(ids) - 1)
            positions = torch.arange(first, last)
            logits = model(ids[first:last].unsqueeze(0), positions.unsqueeze(0), positions - first, *state)
            total += _nats(logits, ids[first + 1 : last + 1])
    return total


def _nats(logits: Tensor, targets: Tensor) -> float:
    losses = F.cross_entropy(logits, targets, ignore_index=data.NO_TARGET, reduction="none")
    return float(losses.double().sum())


RECIPE = Recipe(
    name="text-generation",
    summary="goes on with texts: Shakespeare, any text file",
    presets=lambda: {name: preset() for name, preset in PRESETS.items()},
    run=run,
)
