"""What `Model` has beyond the native class: waiting without blocking, and streams of inputs."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

from portfire import _core
from portfire._batcher import parts_of
from portfire._core import (
    Classification,
    Error,
    Generation,
    InvalidArgumentError,
    TensorAnswer,
    TuneReport,
    cpu_budget,
)

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from PIL.Image import Image

    from portfire._core import _Array as Array

Answer: TypeAlias = Classification | TensorAnswer | Generation
ModelInput: TypeAlias = "str | os.PathLike[str] | Array | Mapping[str, Array] | Image"

_MOST_AHEAD = 64  # inputs that `map` holds at once unless told otherwise


class Model(_core.Model):
    """A loaded model. Immutable; any number of threads may call it at once, and none holds the GIL.

    An input is a path, encoded bytes (a PNG, a .npy, ...), an array (numpy, torch or anything with DLPack),
    a mapping of names to arrays, or a PIL image. For a model that reads text, a str is the text itself, and a
    file is a Path.
    """

    _executor: ThreadPoolExecutor | None = None

    def tune(self, **options: Any) -> TuneReport:
        """`portfire.tune` for the path this model came from; the next `load` of it uses what was found."""
        return _core.tune(self.info.source, **options)

    async def run_async(self, input: ModelInput, *, top_k: int = 5) -> Answer:
        """`run` for one input, without blocking the event loop."""
        import asyncio

        def call() -> Answer:
            return self.run(input, top_k=top_k)

        return await asyncio.get_running_loop().run_in_executor(self._workers(), call)

    @overload
    def map(
        self,
        inputs: Iterable[ModelInput],
        *,
        batch_size: int | None = None,
        top_k: int = 5,
        errors: Literal["raise"] = "raise",
    ) -> Iterator[Answer]: ...
    @overload
    def map(
        self,
        inputs: Iterable[ModelInput],
        *,
        batch_size: int | None = None,
        top_k: int = 5,
        errors: Literal["return"],
    ) -> Iterator[Answer | Error]: ...
    def map(
        self,
        inputs: Iterable[ModelInput],
        *,
        batch_size: int | None = None,
        top_k: int = 5,
        errors: Literal["raise", "return"] = "raise",
    ) -> Iterator[Answer] | Iterator[Answer | Error]:
        """Answers in the order of `inputs`, which may have no end: one batch of it is read at a time.

        `batch_size` is how many inputs go through `forward` together (default: what the package allows, at
        most 64). A bad input raises in its turn, or with errors="return" comes back as the `portfire.Error`.
        """
        size = min(self.info.max_batch, _MOST_AHEAD) if batch_size is None else batch_size
        if size < 1:
            raise InvalidArgumentError(f"batch_size {size}; at least 1")
        if errors not in ("raise", "return"):
            raise InvalidArgumentError(f'errors {errors!r}; "raise" or "return"')
        return self._map(iter(inputs), size, top_k, errors == "raise")

    async def stream_async(
        self, prompt: str | os.PathLike[str] | bytes, **options: Any
    ) -> AsyncIterator[str]:
        """`stream` without blocking the event loop. Leaving it early ends the text."""
        async for part in parts_of(self._workers(), lambda: self.stream(prompt, **options)):
            yield part

    def _map(self, inputs: Iterator[ModelInput], size: int, top_k: int, strict: bool) -> Iterator[Any]:
        while batch := list(islice(inputs, size)):
            for outcome in self.run_each(batch, top_k=top_k):
                if strict and isinstance(outcome, Error):
                    raise outcome
                yield outcome

    def _workers(self) -> ThreadPoolExecutor:
        """As many threads as keep the processors busy: each runs operators on `info.threads` of them."""
        if self._executor is None:
            from concurrent.futures import ThreadPoolExecutor

            count = max(1, cpu_budget() // max(1, self.info.threads))
            self._executor = ThreadPoolExecutor(count, thread_name_prefix="portfire")
        return self._executor


def load(
    path: str | os.PathLike[str],
    *,
    device: str = "cpu",
    threads: int = 0,
    engine: str = "auto",
    optimization: str = "auto",
    precision: str = "packaged",
    max_error: float = 0,
    map_file: bool = False,
    trust_compiled: bool = False,
    trusted_keys: Sequence[str] = (),
    allow_ops: Sequence[str] = (),
    max_pixels: int = 0,
    skip_passes: Sequence[str] = (),
) -> Model:
    """Opens, checks, optimises and warms up a model.

    Args:
        path: a package, a TorchScript file, a `<name>` folder (its highest version) or a `<name>/<version>`
            folder.
        device: "cpu", "cuda" or "cuda:<index>".
        threads: for one operator; 0 is what `tune` found, else `cpu_budget()`.
        engine: "auto", "torchscript", "graph" for torch.export's programs, or "compiled" for AOTInductor's.
            "auto" takes what `tune` found on this machine, else the first of the version's files that holds.
        optimization: "none", "freeze", "full" or "auto", which is "full" in the engine graph and "freeze" in
            torchscript. Where the golden samples do not hold, the next lower one is used, and
            `Model.info.optimization` says why.
        precision: "packaged"; "bfloat16" (engine graph), in which the golden samples must hold too; "int8",
            the same for weights of linear layers in 8 bits, and for what meets them where the processor
            multiplies bytes; or "fastest", which is bfloat16 where the processor computes in it and they
            hold.
        max_error: absolute and relative, of floating outputs in another precision than the package's; 0
            keeps the package's tolerance.
        map_file: weights of a `model.pt2` are used where the file has them, which loads faster and shares
            them with other processes. Replace such a file by renaming: cutting it short while it is in use
            ends the process, writing to it (as `torch.export.save` does) changes the model.
        trust_compiled: machine code in the package may be loaded, which then can do what this process can.
        trusted_keys: public keys of minisign, as files or lines; what one of them signed in `<file>.minisig`
            is trusted as with `trust_compiled`.
        allow_ops: operators to allow beyond the list, by full name, for a file that you trust.
        max_pixels: a tighter limit than the package's; 0 keeps that.
        skip_passes: of the engine graph, by their names, to find one that is wrong.

    Raises:
        Error: NotFoundError, InvalidPackageError, VersionMismatchError, UntrustedPackageError, ...
    """
    return Model(
        path,
        device=device,
        threads=threads,
        engine=engine,
        optimization=optimization,
        precision=precision,
        max_error=max_error,
        map_file=map_file,
        trust_compiled=trust_compiled,
        trusted_keys=list(trusted_keys),
        allow_ops=list(allow_ops),
        max_pixels=max_pixels,
        skip_passes=list(skip_passes),
    )
