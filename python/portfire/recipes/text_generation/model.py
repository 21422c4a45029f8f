"""Language models as they are packaged: `forward(ids, positions, select, *state) -> logits`.

One method reads a prompt (S tokens in one call) and goes on with it (one token a call), so that a package has
its weights once. What has been read lies in state tensors that `forward` writes to, each row's at its own
positions, so texts of different lengths go on together.

Shapes: N texts, S tokens of each in one call, R places in N x S whose logits are wanted, T tokens that there
is room for, V tokens of the vocabulary, C channels, H heads, K heads of keys and values, D channels of a
head.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LanguageModel(nn.Module):
    """What training, packaging and generation need of a model."""

    @abstractmethod
    def logits(self, ids: Tensor) -> Tensor:
        """int64 [N, S] from the beginning of each text, to float32 [N, S, V]: for training."""

    @abstractmethod
    def state_shapes(self) -> dict[str, tuple[int | str, ...]]:
        """Of each state argument of `forward`, with "N" and "T" for sizes that vary."""


def _write(cache: Tensor, rows: Tensor, positions: Tensor, new: Tensor) -> None:
    """new [N, S, K, D] to cache [N, K, T, D] at positions int64 [N, S]."""
    cache.transpose(1, 2).index_put_((rows, positions), new)


def _visible(positions: Tensor, room: int) -> Tensor:
    """bool [N, 1, S, T]: a token sees itself and those before it."""
    places = torch.arange(room, device=positions.device)
    return places.unsqueeze(0).unsqueeze(0).unsqueeze(0) <= positions.unsqueeze(1).unsqueeze(3)


def _initialise(model: nn.Module, layers: int) -> None:
    """GPT-2's: small normal weights, smaller where 2 x `layers` of them add up; biases 0."""
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            last = name.endswith(("out.weight", "down.weight"))
            nn.init.normal_(parameter, std=0.02 / (2 * layers) ** 0.5 if last else 0.02)
        elif name.endswith("bias"):
            nn.init.zeros_(parameter)


class GPTBlock(nn.Module):
    """Pre-norm attention and a feed-forward network (Radford et al. 2019, GPT-2)."""

    def __init__(
        self, channels: int, heads: int, hidden: int, dropout: float, bias: bool, epsilon: float
    ) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.norm_1 = nn.LayerNorm(channels, eps=epsilon, bias=bias)
        self.qkv = nn.Linear(channels, 3 * channels, bias=bias)
        self.out = nn.Linear(channels, channels, bias=bias)
        self.norm_2 = nn.LayerNorm(channels, eps=epsilon, bias=bias)
        self.up = nn.Linear(channels, hidden, bias=bias)
        self.down = nn.Linear(hidden, channels, bias=bias)
        self.drop = nn.Dropout(dropout)

    def _heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """q, k and v, each [N, S, H, D]."""
        q, k, v = self.qkv(self.norm_1(x)).chunk(3, dim=-1)
        size = x.size(2) // self.heads
        shape = [x.size(0), x.size(1), self.heads, size]
        return q.reshape(shape), k.reshape(shape), v.reshape(shape)

    def _rest(self, x: Tensor, attended: Tensor) -> Tensor:
        x = x + self.drop(self.out(attended.transpose(1, 2).flatten(2)))
        hidden = F.gelu(self.up(self.norm_2(x)), approximate="tanh")
        y: Tensor = x + self.drop(self.down(hidden))
        return y

    def forward(
        self, x: Tensor, rows: Tensor, positions: Tensor, mask: Tensor, keys: Tensor, values: Tensor
    ) -> Tensor:
        q, k, v = self._heads(x)
        _write(keys, rows, positions, k)
        _write(values, rows, positions, v)
        y: Tensor = F.scaled_dot_product_attention(q.transpose(1, 2), keys, values, attn_mask=mask)
        return self._rest(x, y)

    def whole(self, x: Tensor) -> Tensor:
        q, k, v = (part.transpose(1, 2) for part in self._heads(x))
        dropout = self.dropout if self.training else 0.0
        return self._rest(x, F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=dropout))


class GPT(LanguageModel):
    """Learned positions, pre-norm blocks, the head tied to the embedding; `hidden` is 4 x channels by
    custom."""

    def __init__(
        self,
        vocabulary: int,
        *,
        context: int,
        layers: int,
        heads: int,
        channels: int,
        hidden: int | None = None,
        dropout: float = 0.0,
        bias: bool = True,
        epsilon: float = 1e-5,
    ) -> None:
        super().__init__()
        self.shape = (layers, heads, channels // heads)
        self.token = nn.Embedding(vocabulary, channels)
        self.position = nn.Embedding(context, channels)
        self.drop = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            GPTBlock(channels, heads, hidden or 4 * channels, dropout, bias, epsilon) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(channels, eps=epsilon, bias=bias)
        _initialise(self, layers)

    def forward(self, ids: Tensor, positions: Tensor, select: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        rows = torch.arange(ids.size(0), device=ids.device).unsqueeze(1)
        mask = _visible(positions, keys.size(3))
        x = self.token(ids) + self.position(positions)
        for k, block in enumerate(self.blocks):
            x = block(x, rows, positions, mask, keys[k], values[k])
        return F.linear(self.norm(x.flatten(0, 1).index_select(0, select)), self.token.weight)

    def logits(self, ids: Tensor) -> Tensor:
        places = torch.arange(ids.size(1), device=ids.device)
        x = self.drop(self.token(ids) + self.position(places))
        for block in self.blocks:
            x = block.whole(x)  # type: ignore[operator]
        return F.linear(self.norm(x), self.token.weight)

    def state_shapes(self) -> dict[str, tuple[int | str, ...]]:
        layers, heads, size = self.shape
        return dict.fromkeys(("keys", "values"), (layers, "N", heads, "T", size))


class LlamaBlock(nn.Module):
    """Pre-norm by the root mean square, rotary positions, grouped-query attention, SwiGLU (Touvron et al.
    2023, arXiv:2302.13971, arXiv:2307.09288)."""

    def __init__(
        self, channels: int, heads: int, kv_heads: int, size: int, hidden: int, epsilon: float
    ) -> None:
        super().__init__()
        self.heads = heads
        self.kv_heads = kv_heads
        self.norm_1 = nn.RMSNorm(channels, eps=epsilon)
        self.q = nn.Linear(channels, heads * size, bias=False)
        self.k = nn.Linear(channels, kv_heads * size, bias=False)
        self.v = nn.Linear(channels, kv_heads * size, bias=False)
        self.out = nn.Linear(heads * size, channels, bias=False)
        self.norm_2 = nn.RMSNorm(channels, eps=epsilon)
        self.gate = nn.Linear(channels, hidden, bias=False)
        self.up = nn.Linear(channels, hidden, bias=False)
        self.down = nn.Linear(hidden, channels, bias=False)

    def _heads(self, x: Tensor, turn: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """q [N, S, H, D], k and v [N, S, K, D]."""
        y = self.norm_1(x)
        n, s = x.size(0), x.size(1)
        q = _rotated(self.q(y).reshape([n, s, self.heads, -1]), turn)
        k = _rotated(self.k(y).reshape([n, s, self.kv_heads, -1]), turn)
        return q, k, self.v(y).reshape([n, s, self.kv_heads, -1])

    def _spread(self, x: Tensor) -> Tensor:
        """[N, K, T, D] to [N, H, T, D]: each head of keys or values serves H / K heads of queries."""
        return x if self.heads == self.kv_heads else x.repeat_interleave(self.heads // self.kv_heads, 1)

    def _rest(self, x: Tensor, attended: Tensor) -> Tensor:
        x = x + self.out(attended.transpose(1, 2).flatten(2))
        y = self.norm_2(x)
        z: Tensor = x + self.down(F.silu(self.gate(y)) * self.up(y))
        return z

    def forward(
        self,
        x: Tensor,
        turn: Tensor,
        rows: Tensor,
        positions: Tensor,
        mask: Tensor,
        keys: Tensor,
        values: Tensor,
    ) -> Tensor:
        q, k, v = self._heads(x, turn)
        _write(keys, rows, positions, k)
        _write(values, rows, positions, v)
        attended = F.scaled_dot_product_attention(
            q.transpose(1, 2), self._spread(keys), self._spread(values), attn_mask=mask
        )
        return self._rest(x, attended)

    def whole(self, x: Tensor, turn: Tensor) -> Tensor:
        q, k, v = (part.transpose(1, 2) for part in self._heads(x, turn))
        return self._rest(
            x, F.scaled_dot_product_attention(q, self._spread(k), self._spread(v), is_causal=True)
        )


def _rotated(x: Tensor, turn: Tensor) -> Tensor:
    """x [N, S, H, D], each pair of neighbouring channels turned by its angle; turn [N, S, D / 2, 2] holds
    cosine and sine (Su et al. 2021, arXiv:2104.09864)."""
    pairs = x.unflatten(3, [-1, 2])  # type: ignore[no-untyped-call]
    cosine, sine = turn.unsqueeze(2).unbind(4)
    a, b = pairs.unbind(4)
    return torch.stack([a * cosine - b * sine, a * sine + b * cosine], 4).flatten(3)


class Llama(LanguageModel):
    """Rotary positions, RMSNorm, SwiGLU and grouped-query attention; the head may be the embedding's.
    `frequencies` [D / 2] are the angles by which a pair is turned for each position, instead of `base`'s;
    `head_size` is D, channels / heads by custom."""

    def __init__(
        self,
        vocabulary: int,
        *,
        context: int,
        layers: int,
        heads: int,
        kv_heads: int,
        channels: int,
        hidden: int,
        tied: bool = True,
        epsilon: float = 1e-5,
        base: float = 10000.0,
        frequencies: Tensor | None = None,
        head_size: int | None = None,
    ) -> None:
        super().__init__()
        size = head_size or channels // heads
        self.shape = (layers, kv_heads, size)
        self.token = nn.Embedding(vocabulary, channels)
        self.blocks = nn.ModuleList(
            LlamaBlock(channels, heads, kv_heads, size, hidden, epsilon) for _ in range(layers)
        )
        self.norm = nn.RMSNorm(channels, eps=epsilon)
        self.head = nn.Linear(channels, vocabulary, bias=False)
        if tied:
            self.head.weight = self.token.weight
        _initialise(self, layers)
        if frequencies is None:
            frequencies = base ** -(torch.arange(0, size, 2) / size)
        angle = torch.arange(context).unsqueeze(1) * frequencies
        self.turn: Tensor
        self.register_buffer("turn", torch.stack([angle.cos(), angle.sin()], 2), persistent=False)

    def forward(self, ids: Tensor, positions: Tensor, select: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        rows = torch.arange(ids.size(0), device=ids.device).unsqueeze(1)
        mask = _visible(positions, keys.size(3))
        turn = F.embedding(positions, self.turn.flatten(1))
        turn = turn.unflatten(2, [-1, 2])  # type: ignore[no-untyped-call]
        x = self.token(ids)
        for k, block in enumerate(self.blocks):
            x = block(x, turn, rows, positions, mask, keys[k], values[k])
        logits: Tensor = self.head(self.norm(x.flatten(0, 1).index_select(0, select)))
        return logits

    def logits(self, ids: Tensor) -> Tensor:
        turn = self.turn[: ids.size(1)].unsqueeze(0)
        x = self.token(ids)
        for block in self.blocks:
            x = block.whole(x, turn)  # type: ignore[operator]
        logits: Tensor = self.head(self.norm(x))
        return logits

    def state_shapes(self) -> dict[str, tuple[int | str, ...]]:
        layers, heads, size = self.shape
        return dict.fromkeys(("keys", "values"), (layers, "N", heads, "T", size))


def _tie(embedding: nn.Embedding, head: nn.Linear) -> None:
    """The head's weight becomes the embedding's, as small as a head's is and its bias 0."""
    head.weight = embedding.weight
    nn.init.normal_(embedding.weight, std=0.1)
    nn.init.zeros_(head.bias)


class GRULanguageModel(LanguageModel):
    """An embedding, GRU layers and a linear head; its state is the layers' last hidden states."""

    def __init__(
        self, vocabulary: int, *, layers: int, channels: int, dropout: float = 0.0, tied: bool = False
    ) -> None:
        super().__init__()
        self.token = nn.Embedding(vocabulary, channels)
        self.gru = nn.GRU(
            channels, channels, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0
        )
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(channels, vocabulary)
        if tied:
            _tie(self.token, self.head)

    def forward(self, ids: Tensor, positions: Tensor, select: Tensor, hidden: Tensor) -> Tensor:
        x, last = self.gru(self.token(ids), hidden)
        hidden.copy_(last)
        logits: Tensor = self.head(x.flatten(0, 1).index_select(0, select))
        return logits

    def logits(self, ids: Tensor) -> Tensor:
        logits: Tensor = self.head(self.drop(self.gru(self.drop(self.token(ids)))[0]))
        return logits

    def state_shapes(self) -> dict[str, tuple[int | str, ...]]:
        return {"hidden": (self.gru.num_layers, "N", self.gru.hidden_size)}


class LSTMLanguageModel(LanguageModel):
    """An embedding, LSTM layers and a linear head; its state is the layers' last hidden states and cells."""

    def __init__(
        self, vocabulary: int, *, layers: int, channels: int, dropout: float = 0.0, tied: bool = False
    ) -> None:
        super().__init__()
        self.token = nn.Embedding(vocabulary, channels)
        self.lstm = nn.LSTM(
            channels, channels, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0
        )
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(channels, vocabulary)
        if tied:
            _tie(self.token, self.head)

    def forward(self, ids: Tensor, positions: Tensor, select: Tensor, hidden: Tensor, cell: Tensor) -> Tensor:
        x, (last_hidden, last_cell) = self.lstm(self.token(ids), (hidden, cell))
        hidden.copy_(last_hidden)
        cell.copy_(last_cell)
        logits: Tensor = self.head(x.flatten(0, 1).index_select(0, select))
        return logits

    def logits(self, ids: Tensor) -> Tensor:
        logits: Tensor = self.head(self.drop(self.lstm(self.drop(self.token(ids)))[0]))
        return logits

    def state_shapes(self) -> dict[str, tuple[int | str, ...]]:
        shape = (self.lstm.num_layers, "N", self.lstm.hidden_size)
        return {"hidden": shape, "cell": shape}
