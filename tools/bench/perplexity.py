#!/usr/bin/env python3
"""What a language model loses to a precision: its nats a token on a text, and its golden samples' error.

The text is read in consecutive windows of --window tokens, each from its own beginning; the losses are of
every token but the first of a window. Perplexity is the loss's exponential. With --written, the text is what
the model itself writes in the packaged precision, drawn at temperature 1: what is lost is then the divergence
from it.

Usage: .venv/bin/python tools/bench/perplexity.py models/shakespeare-gpt --text input.txt
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]


def read(package: Path) -> tuple[Any, list[dict[str, Any]]]:
    """The packaged tokenizer, and the state that `forward` takes."""
    import portfire

    if package.is_dir():
        package = sorted(package.rglob("model.pt2"))[-1]
    with zipfile.ZipFile(package) as archive:
        names = archive.namelist()
        tokenizer = next(name for name in names if name.endswith("assets/tokenizer.json"))
        manifest = json.loads(archive.read(next(name for name in names if name.endswith("manifest.json"))))
        state = manifest["methods"]["forward"]["inputs"][3:]
        return portfire.Tokenizer.from_bytes(archive.read(tokenizer)), state


def nats(model: Any, windows: np.ndarray, state: list[dict[str, Any]]) -> tuple[float, int]:
    """Of windows, int64 [N, T]: the sum over all tokens but the first of each, and how many there are."""
    places = np.arange(windows.shape[1] - 1)
    sizes = {"N": 1, "T": windows.shape[1]}
    empty = {}
    for one in state:
        empty[one["name"]] = np.zeros([sizes.get(size, size) for size in one["shape"]], np.float32)
    total = 0.0
    for window in windows:
        logits = model.forward(ids=window[None, :-1], positions=places[None], select=places, **empty)
        logits = np.array(logits, np.float64)
        logits -= logits.max(1, keepdims=True)
        total += float((np.log(np.exp(logits).sum(1)) - logits[places, window[1:]]).sum())
    return total, windows.shape[0] * len(places)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("package", type=Path, help="a model's folder or file, of task text-generation")
    parser.add_argument("--text", type=Path, help="what to read")
    parser.add_argument("--written", type=int, default=0, metavar="N", help="or N texts of the model's own")
    parser.add_argument("--prompt", default="Once upon a time", help="before each of those (%(default)s)")
    parser.add_argument("--after", type=float, default=0.9, help="this part of the text (%(default)s)")
    parser.add_argument("--window", type=int, default=64, help="tokens (%(default)s)")
    parser.add_argument("--most", type=int, default=500, help="windows (%(default)s)")
    parser.add_argument("--precisions", nargs="+", default=["packaged", "int8"])
    given = parser.parse_args()
    sys.path.insert(0, str(ROOT / "python"))
    import portfire

    models = {
        precision: portfire.load(given.package, engine="graph", precision=precision, max_error=1e3)
        for precision in given.precisions
    }
    tokenizer, state = read(given.package)
    if given.text:
        text = given.text.read_text(encoding="utf-8")
        tokens = tokenizer.encode(text[int(len(text) * given.after) :]).ids
    else:
        plain = portfire.load(given.package, engine="graph")
        options = {"max_new_tokens": given.window, "temperature": 1}
        written = [plain.generate(given.prompt, seed=seed, **options) for seed in range(given.written)]
        whole = [text.sequences[0].ids for text in written if len(text.sequences[0].ids) == given.window]
        tokens = [token for ids in whole for token in ids]
    count = min(given.most, len(tokens) // given.window)
    windows = np.array(tokens[: count * given.window], np.int64).reshape(count, given.window)
    print(f"{models[given.precisions[0]].info.name}: {len(windows)} windows of {given.window} tokens")
    first = None
    for precision, model in models.items():
        total, count = nats(model, windows, state)
        first = total if first is None else first
        error = max(stage.max_abs_error for stage in model.verify().stages)
        loss = total / count
        more = math.expm1((total - first) / count) * 100
        about = f"{loss:8.5f} nats  perplexity {math.exp(loss):9.4f} ({more:+.3f} %)"
        print(f"{precision:9} {about}  golden error {error:.2e}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
