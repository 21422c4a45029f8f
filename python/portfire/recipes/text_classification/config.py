"""The recipe's configuration, and its presets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from portfire.train.config import RecipeConfig, require
from portfire.train.loop import LoopConfig

DatasetName = Literal["names", "polarity", "uci", "imdb", "sst2", "file"]


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    dataset: DatasetName = "polarity"
    file: Path | None = None  # .csv, .tsv or .jsonl; dataset "file" only
    text_column: str = "text"  # of the file
    label_column: str = "label"
    held_out: float = 0.2  # share kept for the final figures, where the set has no split of its own
    validation: float = 0.1  # share of the training texts that is watched and that fits the temperature
    split_seed: int = 0

    def __post_init__(self) -> None:
        require(0 < self.held_out < 1, f"data.held_out is {self.held_out}; it must lie between 0 and 1")
        require(
            0 < self.validation < 1,
            f"data.validation is {self.validation}; the temperature needs some, above 0 to below 1",
        )
        require(
            self.file is None or self.dataset == "file",
            f'data.file is for data.dataset=file, not "{self.dataset}"',
        )
        require(
            self.text_column != self.label_column,
            f'data.text_column and data.label_column are both "{self.text_column}"; two columns are needed',
        )


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """How texts become ids; what is learnt of it is learnt from the training texts."""

    kind: Literal["ngrams", "words", "characters", "file"] = "ngrams"
    file: Path | None = None  # a tokenizer.json; kind "file" only
    lowercase: bool = True
    words: tuple[int, ...] = (1, 2)  # the shortest and longest n-gram of words; ngrams only
    characters: tuple[int, ...] = (0, 0)  # the same of the characters of a word; 0, 0 is none
    buckets: int = 1 << 16  # that n-grams are hashed to
    least_count: int = 1  # of a word or character in the training texts; rarer ones are unknown
    most: int = 50_000  # words in the vocabulary
    max_tokens: int = 256  # of a text; the rest is left out

    def __post_init__(self) -> None:
        for name in ("words", "characters"):
            given = getattr(self, name)
            require(
                len(given) == 2 and (given == (0, 0) or 1 <= given[0] <= given[1] <= 16),
                f"tokenizer.{name} is {', '.join(map(str, given))}; the shortest and the longest n-gram "
                "are needed, from 1 to 16, or 0, 0",
            )
        require(
            self.kind != "ngrams" or self.words != (0, 0) or self.characters != (0, 0),
            "tokenizer.words and tokenizer.characters are both 0, 0; n-grams of at least one are needed",
        )
        require(
            (self.kind == "file") == (self.file is not None),
            "tokenizer.file is for tokenizer.kind=file, which needs it",
        )
        for name in ("buckets", "least_count", "most", "max_tokens"):
            require(
                getattr(self, name) >= 1, f"tokenizer.{name} is {getattr(self, name)}; at least 1 is needed"
            )
        require(
            self.buckets <= 1 << 24, f"tokenizer.buckets is {self.buckets}; at most {1 << 24:,} is allowed"
        )


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    kind: Literal["ngrams", "rnn", "birnn", "gru", "bigru", "lstm", "bilstm", "transformer"] = "ngrams"
    counted: bool = True  # ngrams: begin with each class's log-count ratios, without hidden units
    embedding: int = 64  # of an id, in a recurrent network
    spread: float = 0.1  # of the ids' vectors before anything is learnt; small keeps rare words quiet
    width: int = 64  # hidden units: of each direction of a recurrent network, of a transformer, of n-grams
    layers: int = 1
    heads: int = 4  # transformer
    pool: Literal["last", "mean", "max"] = "last"  # of a recurrent network's states
    dropout: float = 0.0
    token_dropout: float = 0.0  # share of the ids of a training text that become the unknown one, 0

    def __post_init__(self) -> None:
        for name, most in (("embedding", 4096), ("width", 4096), ("layers", 16), ("heads", 64)):
            given = getattr(self, name)
            require(1 <= given <= most, f"model.{name} is {given}; 1 to {most:,} is allowed")
        require(
            self.kind != "transformer" or (self.width % self.heads == 0 and self.width % 2 == 0),
            f"model.width is {self.width}; a transformer needs an even multiple of model.heads={self.heads}",
        )
        for name in ("dropout", "token_dropout"):
            given = getattr(self, name)
            require(0 <= given < 1, f"model.{name} is {given}; 0 to below 1 is allowed")
        require(self.spread > 0, f"model.spread is {self.spread}; above 0 is needed")


@dataclass(frozen=True, kw_only=True)
class Config(RecipeConfig):
    data: DataConfig = field(default_factory=DataConfig)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    train: LoopConfig = field(default_factory=LoopConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.golden >= 2, f"golden is {self.golden}; texts of two lengths are needed, so at least 2")


def names_gru() -> Config:
    """A recurrent network over a name's characters, both ways."""
    return Config(
        name="names-gru",
        description="Which of 18 languages a family name is of: a recurrent network over its characters.",
        data=DataConfig(dataset="names"),
        tokenizer=TokenizerConfig(kind="characters", max_tokens=64),
        model=ModelConfig(kind="bigru", embedding=64, spread=1.0, width=128, dropout=0.25, token_dropout=0.1),
        train=LoopConfig(epochs=15, batch_size=128, learning_rate=4e-3, threads=1),
    )


def polarity_ngrams() -> Config:
    """Words, pairs of words and parts of words, on sentences of film reviews; seconds."""
    return Config(
        name="polarity-ngrams",
        description="Whether a sentence of a film review is positive: n-grams of words and characters.",
        data=DataConfig(dataset="polarity"),
        tokenizer=TokenizerConfig(
            kind="ngrams", words=(1, 2), characters=(4, 5), buckets=1 << 17, max_tokens=1024
        ),
        model=ModelConfig(kind="ngrams"),
        train=LoopConfig(epochs=4, batch_size=32, learning_rate=3.0, weight_decay=4e-5, threads=1),
    )


def polarity_bilstm() -> Config:
    """A recurrent network over words, both ways, on sentences of film reviews."""
    return Config(
        name="polarity-bilstm",
        description="Whether a sentence of a film review is positive: a recurrent network over its words.",
        data=DataConfig(dataset="polarity"),
        tokenizer=TokenizerConfig(kind="words", least_count=2, max_tokens=128),
        model=ModelConfig(
            kind="bilstm", embedding=128, width=64, pool="mean", dropout=0.5, token_dropout=0.2
        ),
        train=LoopConfig(epochs=3, batch_size=64, learning_rate=4e-3, threads=1),
    )


def polarity_transformer() -> Config:
    """A transformer's encoder over words, on sentences of film reviews."""
    return Config(
        name="polarity-transformer",
        description="Whether a sentence of a film review is positive: a transformer over its words.",
        data=DataConfig(dataset="polarity"),
        tokenizer=TokenizerConfig(kind="words", least_count=2, max_tokens=128),
        model=ModelConfig(kind="transformer", width=64, heads=4, layers=1, dropout=0.3, token_dropout=0.3),
        train=LoopConfig(epochs=6, batch_size=64, learning_rate=2e-3, threads=1),
    )


def uci_ngrams() -> Config:
    """Words, pairs of words and parts of words, on sentences of three kinds of reviews; seconds."""
    return Config(
        name="uci-ngrams",
        description="Whether a sentence of a review is positive: n-grams of words and characters.",
        data=DataConfig(dataset="uci"),
        tokenizer=TokenizerConfig(kind="ngrams", words=(1, 2), characters=(3, 5), max_tokens=1024),
        model=ModelConfig(kind="ngrams"),
        train=LoopConfig(epochs=10, batch_size=32, learning_rate=3.0, weight_decay=1.5e-4, threads=1),
    )


def uci_gru() -> Config:
    """A recurrent network over words, both ways, on sentences of three kinds of reviews."""
    return Config(
        name="uci-gru",
        description="Whether a sentence of a review is positive: a recurrent network over its words.",
        data=DataConfig(dataset="uci"),
        tokenizer=TokenizerConfig(kind="words", max_tokens=128),
        model=ModelConfig(kind="bigru", embedding=64, width=64, pool="mean", dropout=0.5, token_dropout=0.2),
        train=LoopConfig(epochs=5, batch_size=32, learning_rate=4e-3, threads=1),
    )


def text_file() -> Config:
    """Any table of texts with labels (--data FILE), by n-grams of words and characters."""
    return Config(
        name="text-file",
        description="Texts by class: n-grams of words and characters.",
        data=DataConfig(dataset="file"),
        tokenizer=TokenizerConfig(
            kind="ngrams", words=(1, 2), characters=(3, 5), buckets=1 << 17, max_tokens=4096
        ),
        model=ModelConfig(kind="ngrams"),
        train=LoopConfig(epochs=8, batch_size=32, learning_rate=3.0, weight_decay=1e-4, threads=1),
    )


PRESETS: Mapping[str, Callable[[], Config]] = {
    "names-gru": names_gru,
    "polarity-ngrams": polarity_ngrams,
    "polarity-bilstm": polarity_bilstm,
    "polarity-transformer": polarity_transformer,
    "uci-ngrams": uci_ngrams,
    "uci-gru": uci_gru,
    "text-file": text_file,
}
