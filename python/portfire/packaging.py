"""Writes a package: a scripted module, its manifest, and golden samples that the runtime replays.

`portfire.package` is this module's `package`.
"""

from __future__ import annotations

import copy
import hashlib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import ExportedProgram

import portfire
from portfire import (
    DEFAULT_MAX_PIXELS,
    InvalidArgumentError,
    VerificationFailedError,
    _compiled,
    _export,
    _torchscript,
)
from portfire._chat import Chat, chat_file
from portfire._generation import StateShapes, forward_spec
from portfire._golden import (
    Golden,
    RawSample,
    Stages,
    difference,
    read_file,
    read_golden,
    replay,
    to_safetensors,
)
from portfire._specs import check_specs, derive_specs
from portfire._statistics import FILE, statistics_file, unknown_token
from portfire._verified import write_verified
from portfire.manifest import (
    METHODS,
    TASKS,
    GenerationSpec,
    GoldenSample,
    Manifest,
    MethodSpec,
    PackagedFile,
    RawInput,
    Tolerance,
)

DEFAULT_TOLERANCES: Mapping[str, Tolerance] = {
    "float64": Tolerance(atol=1e-10, rtol=1e-8),
    "float32": Tolerance(atol=1e-5, rtol=1e-4),
    "float16": Tolerance(atol=1e-2, rtol=1e-2),
    "bfloat16": Tolerance(atol=5e-2, rtol=5e-2),
}

FORMATS = {
    "torchscript": ".pt",
    "graph": ".pt2",
    "compiled": ".pt2",
}  # what a package can be written as, and how the file's name ends


def package(
    module: nn.Module,
    path: str | Path,
    *,
    name: str,
    golden: Sequence[RawSample],
    licence: str,
    task: str = "image-classification",
    labels: Sequence[str] = (),
    version: int = 1,
    description: str = "",
    methods: Mapping[str, MethodSpec] | None = None,
    tolerances: Mapping[str, Tolerance] | None = None,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    tokenizer: bytes | Path | None = None,
    max_tokens: int = 512,
    longer: str = "truncate",
    invalid_utf8: str = "replace",
    generation: GenerationSpec | None = None,
    state: StateShapes | None = None,
    chat: Chat | None = None,
    max_batch: int = 64,
    formats: Sequence[str] = ("torchscript",),
    assets: Mapping[str, bytes | str | Path] | None = None,
    provenance: Mapping[str, Any] | None = None,
    statistics: Iterable[RawSample] | None = None,
) -> Manifest:
    """Writes `module` to `path` as a package, once it computes natively what it computes here.

    Args:
        module: scriptable; a copy of it on the CPU in eval mode is packaged. For image-classification:
            `preprocess(uint8 [H, W, 3] RGB) -> sample`, `forward([N, *sample]) -> logits [N, C]`,
            `postprocess(logits [C]) -> probabilities float32 [C]`. For text-classification the same, from
            `preprocess(tokens int64 [L]) -> sample`; int64 [L] tensors of a sample are filled up with 0 to
            share a batch, so `forward` needs their lengths too. For text-generation: `forward(ids int64
            [N, S], positions int64 [N, S], select int64 [R], *state) -> logits float32 [R, V]` of the tokens
            at the places `select` of the S x N; it writes what it keeps of them to `state`. For tensor:
            `forward(*tensors)`.
        path: of the package file, by custom `<repository>/<name>/<version>/model.pt`. It is replaced only
            after the new file has passed; on any failure nothing is left behind.
        formats: "torchscript" writes `model.pt`; "graph" writes the program of torch.export as `model.pt2`
            beside it, for every size that the specs have a symbol for. Either alone is a package too.
            "compiled" adds AOTInductor's machine code for processors like this one to that; it needs a C++
            compiler here, and `trust_compiled` where it is loaded.
        golden: raw inputs to prove the package with, at least one. Images: PNG or JPEG bytes, a path to
            them, or a uint8 [H, W, 3] or [H, W] array. Texts: str, UTF-8 bytes or a Path to them, of two
            lengths at least. Tensors: an array, several by argument name, or .npy or .safetensors bytes or a
            path to them.
        methods: by name; what is left out is derived from the golden samples.
        tolerances: by dtype; what is left out is `DEFAULT_TOLERANCES`.
        max_pixels: of an image; larger ones are refused.
        tokenizer: of texts: a tokenizer.json or a SentencePiece model, as bytes or a Path to it.
        max_tokens: of a text; of more the first are taken, or with `longer="refuse"` it is refused.
        invalid_utf8: "replace" by U+FFFD what of a text is no UTF-8, or "refuse" it.
        generation: of text-generation: the context and the tokens that end a text.
        state: of text-generation: the shape of each state argument by its name, float32, with "N" for the
            texts and "T" for the tokens that there is room for.
        chat: of text-generation: how a conversation becomes a prompt, as docs/package-format.md has it.
        max_batch: the most samples that `run` and `map` put through one call of `forward`.
        assets: files that travel with the model, stored as `assets/<name>`; each is bytes or a path to them.
        provenance: how the model came to be; plain JSON.
        statistics: raw inputs as `golden` has them, at least 100, that are like those to come: held-out ones,
            or prompts. How they are distributed and what the module answers is packaged, and a server tells
            by it when its inputs drift away.

    Returns the manifest as stored. Raises InvalidArgumentError on a module or an argument that cannot be
    packaged, VerificationFailedError when TorchScript or the native runtime computes something else than
    eager Python, IoError when the file cannot be written.
    """
    path = Path(path)
    if path.suffix not in FORMATS.values():
        raise InvalidArgumentError(f'{path}: a package is a file that ends in ".pt" or ".pt2"')
    if not formats or not set(formats) <= set(FORMATS):
        raise InvalidArgumentError(
            f"{name}: formats {', '.join(formats) or 'are none'}; allowed: {', '.join(FORMATS)}"
        )
    if "compiled" in formats and "graph" not in formats:
        raise InvalidArgumentError(
            f'{name}: the format compiled lies in the file of graph; add "graph" to formats'
        )
    for kind, suffix in FORMATS.items():
        if suffix not in {FORMATS[one] for one in formats} and path.with_suffix(suffix).exists():
            raise InvalidArgumentError(
                f"{path.with_suffix(suffix)} is there already and would be another model than the new "
                f'{"/".join(FORMATS[one] for one in formats)}; add "{kind}" to formats, or remove it'
            )
    if task not in TASKS:
        raise InvalidArgumentError(f'{name}: unknown task "{task}"; allowed: {", ".join(TASKS)}')
    if not golden:
        raise InvalidArgumentError(f"{name}: no golden samples; give at least one raw input to prove it with")
    if chat is not None:
        if task != "text-generation":
            raise InvalidArgumentError(f"{name}: chat is for the task text-generation, not {task}")
        assets = {**(assets or {}), "chat.json": chat_file(name, chat)}
    module = _copy(module)
    scripted = _torchscript.script(module, METHODS[task]) if "torchscript" in formats else None
    reader = None
    content = b""
    if task.startswith("text-"):
        content = _tokenizer_file(name, tokenizer)
        asset = "tokenizer.json" if content.lstrip().startswith(b"{") else "tokenizer.model"
        assets = {**(assets or {}), asset: content}
        raw_input = RawInput(
            kind="text",
            tokenizer=f"assets/{asset}",
            max_tokens=min(max_tokens, generation.context) if generation else max_tokens,
            longer="refuse" if generation else longer,
            invalid_utf8=invalid_utf8,
        )
        reader = portfire.Tokenizer.from_bytes(content, f"{name}: {asset}")
    else:
        raw_input = RawInput(
            kind="image" if task == "image-classification" else "tensor", max_pixels=max_pixels
        )
    samples = [read_golden(raw, raw_input, f"golden sample {k}", reader) for k, raw in enumerate(golden)]
    order = {
        method: _torchscript.argument_names(scripted, method)
        if scripted
        else _export.argument_names(module, method)
        for method in METHODS[task]
    }
    expected = [replay(module, task, sample, order, state) for sample in samples]
    if generation is not None and reader is not None:
        given = {"forward": forward_spec(reader.vocabulary_size, generation.context, state or {})}
        methods = {**given, **(methods or {})}
    specs = {
        **derive_specs(task, order, expected, reader.vocabulary_size if reader else 0),
        **(methods or {}),
    }
    check_specs(specs, expected)
    allowed = {**DEFAULT_TOLERANCES, **(tolerances or {})}
    _require_same(
        specs,
        expected,
        [replay(module, task, sample, order, state) for sample in samples],
        {},
        "gives another output when it is called again; is dropout or noise on in eval mode?",
    )
    if scripted:
        _require_same(
            specs,
            expected,
            [replay(scripted, task, sample, order, state) for sample in samples],
            allowed,
            "computes something else as TorchScript than in eager Python",
        )
    if statistics is not None:
        assets = {
            **(assets or {}),
            FILE: statistics_file(
                name,
                task,
                (
                    read_golden(raw, raw_input, f"statistics: sample {k}", reader)
                    for k, raw in enumerate(statistics)
                ),
                lambda sample: replay(module, task, sample, order),
                forward=specs["forward"],
                labels=labels,
                unknown=unknown_token(content, reader) if reader else None,
            ),
        }
    files = {**_asset_files(assets or {}), **_golden_files(specs, samples, expected)}
    used = {spec.dtype for method in specs.values() for spec in method.outputs}
    manifest = Manifest(
        name=name,
        version=version,
        task=task,
        licence=licence,
        description=description,
        raw_input=raw_input,
        methods=specs,
        labels=tuple(labels),
        max_batch=max_batch,
        generation=generation,
        tolerances={dtype: row for dtype, row in allowed.items() if dtype in used},
        golden=tuple(
            GoldenSample(input=f"golden/{k}/{sample.file_name}", expected=f"golden/{k}/expected.safetensors")
            for k, sample in enumerate(samples)
        ),
        files={
            file: PackagedFile(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
            for file, content in files.items()
        },
        provenance={"torch": torch.__version__, "portfire": portfire.__version__, **(provenance or {})},
    )
    extra = {
        f"portfire/{file}": content for file, content in {"manifest.json": manifest.dumps(), **files}.items()
    }
    archives = {}
    if scripted:
        archives[path.with_suffix(FORMATS["torchscript"])] = _torchscript.save(scripted, extra)
    if "graph" in formats:
        programs = _programs(module, task, specs, expected[0])
        if "compiled" in formats:
            _require_ranges(specs["forward"])
            extra.update(
                _compiled.compile(
                    programs["forward"], _export.example(expected[0]["forward"].inputs, specs["forward"])
                )
            )
        archives[path.with_suffix(FORMATS["graph"])] = _export.save(programs, extra)
    write_verified(archives)
    return manifest


def _programs(
    module: nn.Module, task: str, specs: Mapping[str, MethodSpec], example: Stages
) -> dict[str, ExportedProgram]:
    programs = {
        method: _export.export(module, method, stage.inputs, specs[method])
        for method, stage in example.items()
    }
    for method, program in programs.items():
        narrow = _export.conditions(program, specs[method])
        if narrow and task != "tensor":
            raise InvalidArgumentError(
                f"{method} follows another branch for other sizes: as exported it is right only where "
                f"{narrow[0]}; write it without branches on sizes"
            )
    return programs


def _require_ranges(forward: MethodSpec) -> None:
    for spec in forward.inputs:
        if spec.dtype.startswith(("int", "uint")) and (spec.minimum is None or spec.maximum is None):
            raise InvalidArgumentError(
                "forward: compiled code does not check indices; give the minimum and maximum of "
                f"{spec.name} in methods"
            )


def _tokenizer_file(name: str, tokenizer: bytes | Path | None) -> bytes:
    if tokenizer is None:
        raise InvalidArgumentError(
            f"{name}: texts need a tokenizer; give a tokenizer.json or a SentencePiece model"
        )
    return tokenizer if isinstance(tokenizer, bytes) else read_file(tokenizer)


def _copy(module: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of scripted modules: their gradients are looked at
        return copy.deepcopy(module).cpu().eval()


def _asset_files(assets: Mapping[str, bytes | str | Path]) -> dict[str, bytes]:
    files = {}
    for name, content in assets.items():
        if any(part in ("", ".", "..") for part in name.split("/")) or not name.isprintable() or "\\" in name:
            raise InvalidArgumentError(
                f"{name!r} names no asset; a relative path is needed, without empty, . and .. parts"
            )
        files[f"assets/{name}"] = content if isinstance(content, bytes) else read_file(content)
    return files


def _golden_files(
    specs: Mapping[str, MethodSpec], samples: Sequence[Golden], expected: Sequence[Stages]
) -> dict[str, bytes]:
    files = {}
    for k, (sample, stages) in enumerate(zip(samples, expected, strict=True)):
        files[f"golden/{k}/{sample.file_name}"] = sample.content
        files[f"golden/{k}/expected.safetensors"] = to_safetensors(
            {
                f"{method}/{spec.name}": output
                for method, stage in stages.items()
                for spec, output in zip(specs[method].outputs, stage.outputs, strict=True)
            }
        )
    return files


def _require_same(
    specs: Mapping[str, MethodSpec],
    expected: Sequence[Stages],
    actual: Sequence[Stages],
    tolerances: Mapping[str, Tolerance],
    complaint: str,
) -> None:
    for k, (wanted, given) in enumerate(zip(expected, actual, strict=True)):
        for method, stage in wanted.items():
            for spec, x, y in zip(specs[method].outputs, stage.outputs, given[method].outputs, strict=True):
                problem = difference(x, y, tolerances.get(spec.dtype, Tolerance()))
                if problem:
                    raise VerificationFailedError(
                        f"{method} {complaint}: golden sample {k}, output {spec.name}: {problem}"
                    )
