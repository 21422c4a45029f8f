#!/usr/bin/env python3
"""One engine with one language model at one precision, in a process of its own: language.py starts it, and
asks it over standard input to write tokens. `export` as the engine makes its file and ends."""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

Ids = list[list[int]]
Write = Callable[[Ids, int], Ids]  # as many tokens more for each prompt, the likeliest each time


class CannotRun(Exception):
    """The engine does not do that."""


def portfire(folder: Path, precision: str, threads: int) -> Write:
    import portfire

    names = {"float32": "packaged", "half": "bfloat16", "int8": "int8"}
    model = portfire.load(
        folder / "package", engine="graph", threads=threads, precision=names[precision], max_error=1e3
    )

    def write(prompts: Ids, tokens: int) -> Ids:
        texts = [" ".join(f"w{token}" for token in prompt) for prompt in prompts]
        if len(texts) == 1:
            return [model.generate(texts[0], max_new_tokens=tokens).sequences[0].ids]
        answers = model.generate_each(texts, max_new_tokens=tokens)
        for answer in answers:
            if isinstance(answer, portfire.Error):
                raise answer
        return [answer.sequences[0].ids for answer in answers]

    return write


def transformers(folder: Path, precision: str, threads: int) -> Write:
    import torch
    from transformers import AutoModelForCausalLM  # type: ignore[import-not-found]

    if precision == "int8":
        raise CannotRun("no 8-bit weights on the CPU of its own")
    torch.set_num_threads(threads)
    dtype = torch.float32 if precision == "float32" else torch.bfloat16
    model = AutoModelForCausalLM.from_pretrained(folder / "hf", dtype=dtype).eval()

    def write(prompts: Ids, tokens: int) -> Ids:
        ids = torch.tensor(prompts)
        with torch.inference_mode():
            mask = torch.ones_like(ids)
            whole = model.generate(ids, attention_mask=mask, max_new_tokens=tokens, do_sample=False)
        made: Ids = whole[:, ids.size(1) :].tolist()
        return made

    return write


def export_ctranslate2(folder: Path, precision: str) -> None:
    from ctranslate2.converters import TransformersConverter  # type: ignore[import-not-found]

    TransformersConverter(str(folder / "hf")).convert(str(folder / "ctranslate2"))


def ctranslate2(folder: Path, precision: str, threads: int) -> Write:
    import ctranslate2  # type: ignore[import-not-found]

    kind = {"float32": "float32", "half": "bfloat16", "int8": "int8_float32"}[precision]
    if kind not in ctranslate2.get_supported_compute_types("cpu"):
        raise CannotRun(f"no {kind} on this processor")
    options = {"inter_threads": 1, "intra_threads": threads, "compute_type": kind}
    model = ctranslate2.Generator(str(folder / "ctranslate2"), device="cpu", **options)

    def write(prompts: Ids, tokens: int) -> Ids:
        answers = model.generate_batch(
            [[f"w{token}" for token in prompt] for prompt in prompts],
            min_length=tokens,
            max_length=tokens,
            include_prompt_in_result=False,
        )
        return [list(answer.sequences_ids[0]) for answer in answers]

    return write


def export_openvino(folder: Path, precision: str) -> None:
    """As optimum-intel exports it, with a state; but only the last token's logits are computed."""
    import openvino as ov  # type: ignore[import-not-found]
    from openvino import opset13 as ops
    from optimum.intel import OVModelForCausalLM  # type: ignore[import-not-found]

    made = OVModelForCausalLM.from_pretrained(
        folder / "hf", export=True, compile=False, load_in_8bit=precision == "int8"
    ).model
    head = made.output("logits").get_node().input_value(0).get_node()
    while head.get_type_name() != "MatMul":
        head = head.input_value(0).get_node()
    last = ops.slice(head.input_value(0), [-1], [2**31 - 1], [1], [1])
    head.input(0).replace_source_output(last.output(0))
    made.validate_nodes_and_infer_types()
    ov.save_model(made, folder / f"openvino-{precision}.xml", compress_to_fp16=False)


def openvino(folder: Path, precision: str, threads: int) -> Write:
    import numpy as np
    import openvino as ov

    options = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "half" else "f32",
        "KV_CACHE_PRECISION": "bf16" if precision == "half" else "f32",
    }
    core = ov.Core()
    file = folder / f"openvino-{'int8' if precision == 'int8' else 'float32'}.xml"
    request = core.compile_model(core.read_model(file), "CPU", options).create_infer_request()

    def write(prompts: Ids, tokens: int) -> Ids:
        ids = np.array(prompts)
        texts, done = len(prompts), 0
        made = []
        request.reset_state()
        for _ in range(tokens):
            count = ids.shape[1]
            places = np.arange(done, done + count)[None].repeat(texts, 0)
            inputs = {
                "input_ids": ids,
                "attention_mask": np.ones((texts, done + count), np.int64),
                "position_ids": places,
                "beam_idx": np.arange(texts, dtype=np.int32),
            }
            logits = request.infer(inputs, share_inputs=True, share_outputs=True)["logits"]
            ids = logits[:, -1].argmax(1)[:, None]
            done += count
            made.append(ids)
        answer: Ids = np.concatenate(made, 1).tolist()
        return answer

    return write


ENGINES: dict[str, Callable[[Path, str, int], Write]] = {
    "portfire": portfire,
    "transformers": transformers,
    "ctranslate2": ctranslate2,
    "openvino": openvino,
}
EXPORTS: dict[str, Callable[[Path, str], None]] = {
    "ctranslate2": export_ctranslate2,
    "openvino": export_openvino,
}


def file_of(engine: str, folder: Path, precision: str) -> Path:
    """What `export` makes."""
    if engine == "ctranslate2":
        return folder / "ctranslate2" / "model.bin"
    return folder / f"openvino-{'int8' if precision == 'int8' else 'float32'}.xml"


def peak_mb() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def main() -> int:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print
    engine, name, precision, threads = sys.argv[1:]
    folder = Path(name)
    if threads == "export":
        EXPORTS[engine](folder, "int8" if precision == "int8" else "float32")
        return 0
    write: Write | None = None
    for line in sys.stdin:
        order = json.loads(line)
        try:
            if write is None:
                write = ENGINES[engine](folder, precision, int(threads))
            seconds: list[float] = []
            while sum(seconds) < order["seconds"]:
                start = time.perf_counter()
                ids = write(order["prompts"], order["tokens"])
                seconds.append(time.perf_counter() - start)
            if any(len(text) != order["tokens"] for text in ids):
                raise CannotRun(f"{[len(text) for text in ids]} tokens instead of {order['tokens']}")
            answer = {"seconds": statistics.median(seconds), "ids": ids, "peak_mb": peak_mb()}
        except Exception as error:
            kind = "" if isinstance(error, CannotRun) else f"{type(error).__name__}: "
            said = (str(error).strip().splitlines() or [""])[0]
            answer = {"failed": "-", "reason": (kind + said)[:200]}
        print(json.dumps(answer), file=answers, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
