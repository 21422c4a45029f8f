"""The recipe's configuration, and its presets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from portfire.train.config import RecipeConfig, require
from portfire.train.loop import LoopConfig

DatasetName = Literal["tinyshakespeare", "wikitext-2", "file"]
RECURRENT = ("gru", "lstm")


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    dataset: DatasetName = "tinyshakespeare"
    file: Path | None = None  # any text in UTF-8; dataset "file" only
    train_file: Literal["train", "valid"] = "train"  # of wikitext-2; the other two have the final figures
    validation: float = 0.1  # share of the characters, the last ones, that is never trained with
    window: int = 64  # tokens of a training text, and the context of a transformer
    steps: int = 250  # of an epoch; each takes a batch of windows from anywhere in the text

    def __post_init__(self) -> None:
        require(
            0 < self.validation < 1, f"data.validation is {self.validation}; above 0 to below 1 is needed"
        )
        require(4 <= self.window <= 1 << 16, f"data.window is {self.window}; 4 to {1 << 16:,} is allowed")
        require(self.steps >= 1, f"data.steps is {self.steps}; at least 1 is needed")
        require(
            self.file is None or self.dataset == "file",
            f'data.file is for data.dataset=file, not "{self.dataset}"',
        )


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """How a text becomes ids: by its characters or its words (what lies between spaces, and <eos> at the end
    of a line), those of the training text, or by a file of one's own."""

    kind: Literal["characters", "words"] = "characters"
    file: Path | None = None  # a tokenizer.json or a SentencePiece model


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    kind: Literal["gpt", "llama", "gru", "lstm"] = "gpt"
    layers: int = 4
    width: int = 128  # channels
    heads: int = 4  # of a transformer
    kv_heads: int = 2  # of keys and values; llama
    hidden: int = 344  # units of the feed-forward network; llama
    dropout: float = 0.0
    tied: bool = False  # the head of a recurrent network is its embedding; a transformer's always is
    longest: int = 100_000  # tokens of prompt and text together in a recurrent network, which has no context

    def __post_init__(self) -> None:
        for name, most in (("layers", 96), ("width", 8192), ("heads", 128), ("hidden", 32768)):
            given = getattr(self, name)
            require(1 <= given <= most, f"model.{name} is {given}; 1 to {most:,} is allowed")
        require(self.longest >= 2, f"model.longest is {self.longest}; at least 2 is needed")
        require(0 <= self.dropout < 1, f"model.dropout is {self.dropout}; 0 to below 1 is allowed")
        if self.kind in RECURRENT:
            return
        require(
            self.width % self.heads == 0,
            f"model.width is {self.width}; a multiple of model.heads={self.heads} is needed",
        )
        if self.kind == "llama":
            require(self.dropout == 0, f"model.dropout is {self.dropout}; model.kind=llama has none")
            require(
                self.width // self.heads % 2 == 0,
                f"model.width is {self.width}; an even number for each of model.heads={self.heads} is needed",
            )
            require(
                self.kv_heads >= 1 and self.heads % self.kv_heads == 0,
                f"model.kv_heads is {self.kv_heads}; a divisor of model.heads={self.heads} is needed",
            )


@dataclass(frozen=True, kw_only=True)
class TrainConfig(LoopConfig):
    """As language models are trained; the schedule is the recipe's own."""

    optimizer: Literal["adamw", "muon"] = "adamw"  # muon: for the matrices in the blocks of a transformer
    warmup: int = 100  # steps in which the learning rate rises
    last_learning_rate: float = 1e-4  # that the cosine comes down to
    betas: tuple[float, ...] = (0.9, 0.99)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.warmup >= 1, f"train.warmup is {self.warmup}; at least 1 is needed")
        require(
            0 <= self.last_learning_rate <= self.learning_rate,
            f"train.last_learning_rate is {self.last_learning_rate}; 0 to "
            f"train.learning_rate={self.learning_rate} is allowed",
        )
        require(
            len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas),
            f"train.betas is {', '.join(map(str, self.betas))}; two of 0 to below 1 are needed",
        )


@dataclass(frozen=True, kw_only=True)
class Config(RecipeConfig):
    prompt: str = "\n"  # that the samples on the card go on from
    anchor: str = ""  # public figures to hold the losses against, for the card
    data: DataConfig = field(default_factory=DataConfig)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.golden >= 2, f"golden is {self.golden}; texts of two lengths are needed, so at least 2")
        require(bool(self.prompt), "prompt is empty; a text needs something to go on from")
        require(
            self.train.optimizer == "adamw" or self.model.kind not in RECURRENT,
            f"train.optimizer is muon; model.kind={self.model.kind} is trained with adamw, "
            "muon is for gpt and llama",
        )

    @property
    def words(self) -> bool:
        """Whether a token is a word."""
        return self.tokenizer.kind == "words" and self.tokenizer.file is None

    @property
    def context(self) -> int:
        """The most tokens of prompt and text together."""
        return self.model.longest if self.model.kind in RECURRENT else self.data.window


def shakespeare_gpt() -> Config:
    """nanoGPT's example for a CPU, 2,000 steps of 12 texts of 64 characters, at twice its learning rate."""
    return Config(
        name="shakespeare-gpt",
        description="Goes on with a text as Shakespeare might: a small GPT over characters.",
        prompt="ROMEO:",
        anchor="1.88 in nanoGPT's README for this size of network, data, split, batch and number of steps, "
        "by random windows of the same part (https://github.com/karpathy/nanoGPT). With its learning rate "
        "too, 1e-3, this recipe came to 1.8863; 2e-3 was set after that",
        data=DataConfig(window=64),
        model=ModelConfig(kind="gpt", layers=4, heads=4, width=128),
        train=TrainConfig(epochs=8, batch_size=12, learning_rate=2e-3, weight_decay=0.1, threads=1),
    )


def shakespeare_llama() -> Config:
    """The budget of shakespeare-gpt for rotary positions, SwiGLU and grouped-query attention."""
    return Config(
        name="shakespeare-llama",
        description="Goes on with a text as Shakespeare might: a small Llama over characters.",
        prompt="ROMEO:",
        data=DataConfig(window=64),
        model=ModelConfig(kind="llama", layers=4, heads=4, kv_heads=2, width=128, hidden=344),
        train=TrainConfig(epochs=8, batch_size=12, learning_rate=2e-3, weight_decay=0.1, threads=1),
    )


def shakespeare_llama_large() -> Config:
    """More than twice as many parameters, four times the context, and Muon."""
    return Config(
        name="shakespeare-llama-large",
        description="Goes on with a text as Shakespeare might: a larger Llama over characters.",
        prompt="ROMEO:",
        anchor="1.4697 in nanoGPT's README for its GPU's example: 10.7 M parameters, 82 million characters "
        "read, the best of several evaluations by random windows of the same part "
        "(https://github.com/karpathy/nanoGPT)",
        data=DataConfig(window=256),
        model=ModelConfig(kind="llama", layers=4, heads=6, kv_heads=6, width=192, hidden=512),
        train=TrainConfig(
            optimizer="muon",
            epochs=5,
            batch_size=8,
            learning_rate=1e-2,
            last_learning_rate=0.0,
            weight_decay=0.1,
            threads=1,
        ),
    )


def shakespeare_gru() -> Config:
    """A recurrent network over characters: a text may be as long as one likes."""
    return Config(
        name="shakespeare-gru",
        description="Goes on with a text as Shakespeare might: a GRU over characters.",
        prompt="ROMEO:",
        data=DataConfig(window=128),
        model=ModelConfig(kind="gru", layers=1, width=256, dropout=0.1),
        train=TrainConfig(epochs=4, batch_size=32, learning_rate=4e-3, weight_decay=0.01, threads=1),
    )


def shakespeare_lstm() -> Config:
    """The same as an LSTM."""
    return Config(
        name="shakespeare-lstm",
        description="Goes on with a text as Shakespeare might: an LSTM over characters.",
        prompt="ROMEO:",
        data=DataConfig(window=128),
        model=ModelConfig(kind="lstm", layers=1, width=256, dropout=0.1),
        train=TrainConfig(epochs=4, batch_size=32, learning_rate=4e-3, weight_decay=0.01, threads=1),
    )


_WIKITEXT = (
    "test perplexity after the official training file, ten times as many words: 65.8 of AWD-LSTM (Merity et "
    "al. 2017, arXiv:1708.02182), 86.7 and 94.6 of pytorch/examples' word_language_model, an LSTM of 650 "
    "units with and without a tied head (https://github.com/pytorch/examples/issues/281)"
)


def wikitext_gpt() -> Config:
    """Words of Wikipedia's articles, of the validation file: data.train_file=train is the official task."""
    return Config(
        name="wikitext-gpt",
        description="Goes on with a text as Wikipedia might: a small GPT over words.",
        prompt="The first game of the season was",
        anchor=_WIKITEXT,
        data=DataConfig(dataset="wikitext-2", train_file="valid", window=64, steps=200),
        tokenizer=TokenizerConfig(kind="words"),
        model=ModelConfig(kind="gpt", layers=2, heads=4, width=128, dropout=0.2),
        train=TrainConfig(
            epochs=5,
            batch_size=16,
            learning_rate=3e-3,
            last_learning_rate=0.0,
            weight_decay=0.1,
            threads=1,
        ),
    )


def wikitext_lstm() -> Config:
    """The same by a recurrent network with a tied head."""
    return Config(
        name="wikitext-lstm",
        description="Goes on with a text as Wikipedia might: an LSTM over words.",
        prompt="The first game of the season was",
        anchor=_WIKITEXT,
        data=DataConfig(dataset="wikitext-2", train_file="valid", window=64, steps=200),
        tokenizer=TokenizerConfig(kind="words"),
        model=ModelConfig(kind="lstm", layers=1, width=192, dropout=0.4, tied=True),
        train=TrainConfig(
            epochs=5,
            batch_size=16,
            learning_rate=4e-3,
            last_learning_rate=0.0,
            weight_decay=0.1,
            threads=1,
        ),
    )


def gpt_file() -> Config:
    """Any text in UTF-8 (--data FILE), by a GPT over its characters."""
    return Config(
        name="gpt-file",
        description="Goes on with a text: a GPT over characters.",
        data=DataConfig(dataset="file", window=128),
        model=ModelConfig(kind="gpt", layers=4, heads=4, width=128, dropout=0.1),
        train=TrainConfig(epochs=12, batch_size=16, learning_rate=1e-3, weight_decay=0.1, threads=1),
    )


PRESETS: Mapping[str, Callable[[], Config]] = {
    "shakespeare-gpt": shakespeare_gpt,
    "shakespeare-llama": shakespeare_llama,
    "shakespeare-llama-large": shakespeare_llama_large,
    "shakespeare-gru": shakespeare_gru,
    "shakespeare-lstm": shakespeare_lstm,
    "wikitext-gpt": wikitext_gpt,
    "wikitext-lstm": wikitext_lstm,
    "gpt-file": gpt_file,
}
