"""The card of a language model: card.md, config.json and a picture, beside the package's versions."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import portfire
from portfire import InvalidArgumentError
from portfire.recipes.text_generation.config import RECURRENT, Config
from portfire.recipes.text_generation.data import Corpus
from portfire.train.callbacks import Epoch
from portfire.train.card import DataSummary, Fact, recorded, size_text, versions
from portfire.train.latency import processor_name
from portfire.train.plots import plot_curve

_LONGEST_SAMPLE = 400  # tokens
_TEMPERATURES = (0.0, 0.8)  # of the samples on a card


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A text that the packaged model wrote, seed 0."""

    temperature: float
    text: str  # after the prompt


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Of the native runtime, one text on one thread."""

    tokens_per_second: float  # median, reading the prompt included
    tokens: int  # that were written each time
    engine: str
    optimization: str
    processor: str


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of a run."""

    name: str
    package: Path
    card: Path
    metrics: Mapping[str, float]  # of `train.measure`
    curve: tuple[Epoch, ...]
    kept: str  # "last" or "best"
    samples: tuple[Sample, ...]
    speed: Speed
    parameters: int
    vocabulary: int
    package_bytes: int
    seconds: float  # of training


def summary(corpus: Corpus) -> DataSummary:
    return DataSummary(
        name=corpus.name,
        title=corpus.title,
        licence=corpus.licence,
        sha256=corpus.sha256,
        train=len(corpus.train),
        held_out=len(corpus.validation),
    )


def room(config: Config, tokenizer: portfire.Tokenizer) -> int:
    """How many tokens a sample has after its prompt: as many as the context allows, and not too many."""
    left = config.context - len(tokenizer.encode(config.prompt).ids)
    if left < 1:
        raise InvalidArgumentError(
            f"prompt fills the context of {config.context:,} tokens; "
            "set a shorter prompt or a larger data.window"
        )
    return min(_LONGEST_SAMPLE, left)


def write_samples(package: Path, prompt: str, tokens: int) -> tuple[Sample, ...]:
    """By the packaged model itself: `tokens` of them after `prompt`."""
    model = portfire.load(package.parent, threads=1)
    return tuple(
        Sample(
            temperature=temperature,
            text=model.generate(prompt, max_new_tokens=tokens, temperature=temperature, seed=0).text,
        )
        for temperature in _TEMPERATURES
    )


def measure_speed(package: Path, prompt: str, tokens: int, *, seconds: float = 1.0) -> Speed:
    model = portfire.load(package.parent, threads=1)
    model.generate(prompt, max_new_tokens=tokens)
    speeds: list[float] = []
    end = time.perf_counter() + seconds
    while not speeds or time.perf_counter() < end:
        start = time.perf_counter()
        count = len(model.generate(prompt, max_new_tokens=tokens).sequences[0].ids)
        speeds.append(count / (time.perf_counter() - start))
    return Speed(
        tokens_per_second=statistics.median(speeds),
        tokens=tokens,
        engine=model.info.engine,
        optimization=model.info.optimization,
        processor=processor_name(),
    )


def write_card(result: Result, origin: Mapping[str, Any], config: Config, corpus: Corpus) -> None:
    """Writes the files beside `result.card`, unless they tell of the same run. `origin` is the provenance."""
    folder = result.card.parent
    folder.mkdir(parents=True, exist_ok=True)
    outcome = {**origin, "metrics": dict(result.metrics)}
    if result.card.exists() and recorded(folder / "config.json", outcome):
        return
    plot_curve(result.curve, folder / "learning-curve.png")
    record = {
        **outcome,
        "curve": [{"epoch": row.number, **row.metrics} for row in result.curve],
        "samples": [asdict(sample) for sample in result.samples],
        "parameters": result.parameters,
        "package_bytes": result.package_bytes,
        "training_seconds": round(result.seconds, 1),
        "speed": asdict(result.speed),
        "versions": versions(),
    }
    (folder / "config.json").write_text(
        json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    result.card.write_text(_markdown(result, origin["command"], config, corpus), encoding="utf-8")


def _markdown(result: Result, command: str, config: Config, corpus: Corpus) -> str:
    facts = "\n".join(f"| {name} | {value} |" for name, value in _facts(result, config, corpus))
    return f"""# {config.name}

{config.description}

```console
$ {command}
```

| | |
|---|---|
{facts}

{_about(result, config)}

The whole configuration and the numbers behind the picture are in [config.json](config.json).

![Learning curve](learning-curve.png)

{_about_curve(config)}

## What it writes

By the packaged model, after {json.dumps(config.prompt, ensure_ascii=False)}:

{_written(result, config)}
"""


def _facts(result: Result, config: Config, corpus: Corpus) -> list[Fact]:
    speed = result.speed
    return [
        *_losses(result.metrics, config),
        *([("public anchor", config.anchor)] if config.anchor else []),
        ("tokens", _tokens(result, config)),
        ("context", _context(config)),
        ("parameters", f"{result.parameters:,}"),
        ("package", f"{size_text(result.package_bytes)}, version {config.version}, {config.licence}"),
        (
            "generation",
            f"{speed.tokens_per_second:,.0f} tokens a second, native, one text of {speed.tokens} tokens, "
            f"median, engine {speed.engine}",
        ),
        (
            "training",
            f"{len(result.curve) * config.data.steps:,} steps of {config.train.batch_size} windows of "
            f"{config.data.window} tokens in {result.seconds:.0f} s, by "
            f"{'Muon and AdamW' if config.train.optimizer == 'muon' else 'AdamW'}",
        ),
        ("processor", f"{speed.processor}, threads: 1 to generate, {_threads(config)} to train"),
        ("data", f"{corpus.title}; licence: {corpus.licence}"),
        ("data sha256", f"`{corpus.sha256}`"),
        ("split", corpus.split),
        ("seed", f"{config.seed}"),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions().items())),
    ]


def _losses(metrics: Mapping[str, float], config: Config) -> list[Fact]:
    rows = [("validation loss", f"**{metrics['validation_loss']:.4f}** nats a {_unit(config)}")]
    if "bits_per_character" in metrics:
        rows.append(("bits a character", f"{metrics['bits_per_character']:.4f}"))
    if "validation_perplexity" in metrics:
        rows.append(("validation perplexity", f"{metrics['validation_perplexity']:.2f} a {_unit(config)}"))
    if "test_perplexity" in metrics:
        rows.append(("test perplexity", f"**{metrics['test_perplexity']:.2f}** a {_unit(config)}"))
    if "test_unknown" in metrics:
        unknown, given = metrics["test_unknown"], metrics["test_unknown_in_the_file"]
        rows.append(
            (
                "unknown words",
                f"{unknown:.2%} of the test file's are `<unk>` to the model: {given:.2%} in the file itself, "
                f"{unknown - given:.2%} that the training part has not",
            )
        )
    return rows


def _unit(config: Config) -> str:
    if config.tokenizer.file is not None:
        return "token"
    return "word" if config.words else "character"


def _threads(config: Config) -> str:
    return str(config.train.threads) if config.train.threads else "all"


def _tokens(result: Result, config: Config) -> str:
    if config.words:
        return (
            f"words, what lies between spaces: {result.vocabulary - 1:,} that the training part has, "
            "`<eos>` at the end of a line among them, and `<unk>` for any other"
        )
    if config.tokenizer.file is None:
        return f"characters, {result.vocabulary - 1:,} that the training part has and one for any other"
    return f"those of a tokenizer that was given, {result.vocabulary:,}"


def _context(config: Config) -> str:
    if config.model.kind in RECURRENT:
        return f"a state; up to {config.context:,} tokens are allowed"
    return f"{config.context:,} tokens"


def _about(result: Result, config: Config) -> str:
    if config.model.kind in RECURRENT:
        how = f"with the state carried through\nthe whole of it, every {_unit(config)} but the first once"
    else:
        how = (
            f"in consecutive windows of\n{config.data.window} tokens, each read from its own beginning, "
            f"every {_unit(config)} but the first once"
        )
    chosen = (
        "The weights are those of the last step; the validation part chose none of them."
        if result.kept == "last"
        else "The weights are those of the epoch with the least loss on this very part, which flatters it."
    )
    parts = "The validation loss is of the whole validation part"
    if "test_loss" in result.metrics:
        parts = "The losses are of the whole validation part and the whole test file"
    perplexity = (
        "\nPerplexity is the loss's exponential; `<eos>` and `<unk>` count as words." if config.words else ""
    )
    return f"{parts}, {how}.\n{chosen}{perplexity}"


def _about_curve(config: Config) -> str:
    smoothed = ", and of smoothed labels" if config.train.label_smoothing else ""
    return (
        f"An epoch is {config.data.steps} steps on windows from anywhere in the training part. The training "
        f"loss is that with\ndropout on{smoothed}; the validation loss is of consecutive windows of "
        f"{config.data.window} tokens, each read\nfrom its own beginning. Accuracy is how often the "
        "likeliest token is the next one."
    )


def _written(result: Result, config: Config) -> str:
    parts = []
    for sample in result.samples:
        how = (
            f"Temperature {sample.temperature:g}, seed 0"
            if sample.temperature
            else "The likeliest token each"
        )
        text = config.prompt + sample.text
        fence = "~~~" if "```" in text else "```"
        parts.append(f"{how}:\n\n{fence}text\n{text}\n{fence}")
    return "\n\n".join(parts)
