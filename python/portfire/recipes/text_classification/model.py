"""The classifier as it is packaged: preprocess, forward and postprocess in one scriptable module.

Shapes: T ids of one text; N texts of a batch, padded at the end to L ids; W width; K classes. What lies
behind a text's length is padding, and changes none of its numbers.
"""

# Without `from __future__ import annotations`, for TorchScript reads the annotations of buffers.

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from portfire.recipes.text_classification.config import ModelConfig
from portfire.recipes.text_classification.counts import log_count_ratios

_RECURRENT = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
_GAIN = 20.0  # of the mean evidence: about the logits of a text whose ids all say the same
_TRUST = 0.1  # factor of a log-count ratio before anything is learnt

Cell = type[nn.RNN] | type[nn.GRU] | type[nn.LSTM]


class Classifier(nn.Module):
    """From token ids to calibrated class probabilities."""

    temperature: Tensor

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("temperature", torch.ones(()))

    def preprocess(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """int64 [T] to ids int64 [T] and their number int64 []."""
        return tokens.clone(), torch.ones_like(tokens).sum()

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """int64 [N, L] and int64 [N], each from 1 to L, to logits float32 [N, K]."""
        logits: Tensor = self.net(ids, lengths)
        return logits

    def postprocess(self, logits: Tensor) -> Tensor:
        """logits float32 [K] to probabilities float32 [K] in the order of the classes."""
        return torch.softmax(logits / self.temperature, dim=0)

    def begin(self, ids: Sequence[Tensor], targets: Tensor) -> None:
        """Takes what the training texts say before anything is learnt: int64 [T] of each, int64 [count]."""
        if isinstance(self.net, CountedBag):
            self.net.count(ids, targets)

    def finish(self, temperature: float) -> None:
        """Sets the temperature, and leaves out what only training needs."""
        self.temperature.fill_(temperature)
        if isinstance(self.net, CountedBag):
            self.net = self.net.folded()


class Bag(nn.Module):
    """The mean of the ids' vectors, and a linear layer on it."""

    def __init__(self, table: nn.Module, head: nn.Module, dropout: float) -> None:
        super().__init__()
        self.table = table
        self.head = head
        self.dropout = nn.Dropout(dropout)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """int64 [N, L] and int64 [N] to logits float32 [N, K]."""
        logits: Tensor = self.head(self.dropout(mean_within(self.table(ids), lengths)))
        return logits


class CountedBag(nn.Module):
    """Evidence for each class, averaged over the ids: fixed log-count ratios, each times a learnt factor, so
    that what was counted to say little is learnt slowly (Wang and Manning 2012, NB-SVM)."""

    ratios: Tensor
    prior: Tensor

    def __init__(self, vocabulary: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.learnt = nn.Embedding(vocabulary, classes)
        nn.init.constant_(self.learnt.weight, _TRUST)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("ratios", torch.ones(vocabulary, classes))
        self.register_buffer("prior", torch.zeros(classes))

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """int64 [N, L] and int64 [N] to logits float32 [N, K]."""
        evidence = F.embedding(ids, self.ratios) * self.learnt(ids)
        logits: Tensor = self.prior + _GAIN * mean_within(self.dropout(evidence), lengths)
        return logits

    def count(self, ids: Sequence[Tensor], targets: Tensor) -> None:
        """Takes the ratios of texts: int64 [T] of each, and their classes int64 [count]."""
        vocabulary, classes = self.ratios.shape
        self.ratios.copy_(log_count_ratios(ids, targets, vocabulary, classes))
        self.prior.copy_((targets.bincount(minlength=classes) / len(targets)).log())

    def folded(self) -> Bag:
        """The same logits from one table."""
        vocabulary, classes = self.ratios.shape
        table, head = nn.Embedding(vocabulary, classes), nn.Linear(classes, classes)
        table.weight.data = _GAIN * self.ratios * self.learnt.weight.data
        nn.init.eye_(head.weight)
        head.bias.data = self.prior.clone()
        return Bag(table, head, 0.0)


class Recurrent(nn.Module):
    """Layers of a recurrent network over padded texts, forwards or both ways, their states pooled."""

    def __init__(self, config: ModelConfig, vocabulary: int, classes: int) -> None:
        super().__init__()
        both = config.kind.startswith("bi")
        cell = _RECURRENT[config.kind.removeprefix("bi")]
        self.table = _table(vocabulary, config.embedding, config.spread)
        inputs, outputs = config.embedding, config.width * (2 if both else 1)
        layers: list[nn.Module] = []
        for _ in range(config.layers):
            layers.append(
                BothWays(cell, inputs, config.width) if both else Onward(cell, inputs, config.width)
            )
            inputs = outputs
        self.layers = nn.ModuleList(layers)
        self.dropout = nn.Dropout(config.dropout)
        self.pool = config.pool
        self.both = both
        self.width = config.width
        self.head = nn.Linear(outputs, classes)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """int64 [N, L] and int64 [N] to logits float32 [N, K]."""
        x = self.dropout(self.table(ids))
        for layer in self.layers:
            x = self.dropout(layer(x, lengths))
        if self.pool == "mean":
            x = mean_within(x, lengths)
        elif self.pool == "max":
            x = max_within(x, lengths)
        else:
            x = ends(x, lengths, self.width if self.both else 0)
        logits: Tensor = self.head(x)
        return logits


class Onward(nn.Module):
    """One recurrent layer from a text's first id to its last."""

    def __init__(self, cell: Cell, inputs: int, width: int) -> None:
        super().__init__()
        self.ahead = cell(inputs, width, batch_first=True)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """float32 [N, L, ·] and int64 [N] to float32 [N, L, W]."""
        states: Tensor = self.ahead(x)[0]
        return states


class BothWays(nn.Module):
    """One recurrent layer each way. The way back reads each text reversed within its own length, so that it
    begins at the text's last id and not in the padding."""

    def __init__(self, cell: Cell, inputs: int, width: int) -> None:
        super().__init__()
        self.ahead = cell(inputs, width, batch_first=True)
        self.back = cell(inputs, width, batch_first=True)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """float32 [N, L, ·] and int64 [N] to float32 [N, L, 2 W], the way back turned round again."""
        turns = mirror(x, lengths)
        turned = self.back(x.gather(1, turns.expand(-1, -1, x.size(2))))[0]
        back = turned.gather(1, turns.expand(-1, -1, turned.size(2)))
        return torch.cat([self.ahead(x)[0], back], dim=2)


class Encoder(nn.Module):
    """A transformer's encoder, normalised before each part, the mean of its last vectors normalised too."""

    rates: Tensor

    def __init__(self, config: ModelConfig, vocabulary: int, classes: int) -> None:
        super().__init__()
        self.table = _table(vocabulary, config.width, config.spread)
        self.spread = config.spread
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(
            EncoderLayer(config.width, config.heads, config.dropout) for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, classes)
        steps = torch.arange(0, config.width, 2) * (-math.log(10000.0) / config.width)
        self.register_buffer("rates", torch.exp(steps), persistent=False)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """int64 [N, L] and int64 [N] to logits float32 [N, K]."""
        place = torch.arange(ids.size(1), device=ids.device)
        angles = place.unsqueeze(1) * self.rates
        places = self.spread * torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)  # [L, W]
        x = self.dropout(self.table(ids) + places)
        seen = (place < lengths.unsqueeze(1)).unsqueeze(1).unsqueeze(1)  # [N, 1, 1, L]
        for layer in self.layers:
            x = layer(x, seen)
        logits: Tensor = self.head(self.dropout(self.norm(mean_within(x, lengths))))
        return logits


class EncoderLayer(nn.Module):
    """Self-attention and a feed-forward part, each with a way around it."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, 3 * width)
        self.merge = nn.Linear(width, width)
        self.widen = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(4 * width, width),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        """float32 [N, L, W] and bool [N, 1, 1, L] to float32 [N, L, W]."""
        split = self.project(self.norm(x)).unflatten(2, [3, self.heads, -1]).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(split[0], split[1], split[2], attn_mask=seen)
        x = x + self.dropout(self.merge(mixed.transpose(1, 2).flatten(2)))
        y: Tensor = x + self.dropout(self.widen(x))
        return y


def _table(vocabulary: int, width: int, spread: float) -> nn.Embedding:
    table = nn.Embedding(vocabulary, width)
    nn.init.normal_(table.weight, std=spread)
    return table


def within(x: Tensor, lengths: Tensor) -> Tensor:
    """bool [N, L, 1] for float32 [N, L, W]: true where a text has an id."""
    return (torch.arange(x.size(1), device=x.device) < lengths.unsqueeze(1)).unsqueeze(2)


def mirror(x: Tensor, lengths: Tensor) -> Tensor:
    """int64 [N, L, 1] for float32 [N, L, W]: where each id's place is when its text is read backwards."""
    turns = lengths.unsqueeze(1) - 1 - torch.arange(x.size(1), device=x.device)
    rows = torch.zeros(x.size(0), 1, dtype=torch.int64, device=x.device)  # the exporter's word for [N]
    return (rows + turns.clamp(min=0)).unsqueeze(2)


def mean_within(x: Tensor, lengths: Tensor) -> Tensor:
    """The mean over each text: float32 [N, L, W] to [N, W]."""
    return (x * within(x, lengths)).sum(1) / lengths.unsqueeze(1)


def max_within(x: Tensor, lengths: Tensor) -> Tensor:
    """The greatest of each column over each text: float32 [N, L, W] to [N, W]."""
    return x.masked_fill(~within(x, lengths), -math.inf).amax(1)


def ends(x: Tensor, lengths: Tensor, back: int) -> Tensor:
    """The states that have seen the whole text, float32 [N, L, W] to [N, W]: each text's last; of the last
    `back` columns, which run the other way, its first."""
    place = torch.arange(x.size(1), device=x.device)
    last = (x * (place == lengths.unsqueeze(1) - 1).unsqueeze(2)).sum(1)
    if back == 0:
        return last
    first = x.select(1, 0)
    column = torch.arange(x.size(2), device=x.device)
    return torch.where(column < x.size(2) - back, last, first)


def build(config: ModelConfig, vocabulary: int, classes: int) -> Classifier:
    """The untrained classifier of a configuration."""
    if config.kind == "ngrams" and config.counted:
        return Classifier(CountedBag(vocabulary, classes, config.dropout))
    if config.kind == "ngrams":
        table = _table(vocabulary, config.width, config.spread)
        return Classifier(Bag(table, nn.Linear(config.width, classes), config.dropout))
    if config.kind == "transformer":
        return Classifier(Encoder(config, vocabulary, classes))
    return Classifier(Recurrent(config, vocabulary, classes))
