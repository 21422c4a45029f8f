"""What `TextBatcher` has beyond the native class: waiting without blocking."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from portfire import _core
from portfire._core import Generation, OverloadedError, TextStream

if TYPE_CHECKING:
    from concurrent.futures import Executor, ThreadPoolExecutor


async def parts_of(executor: Executor, start: Callable[[], TextStream]) -> AsyncIterator[str]:
    """The parts of a text, waited for on the executor's threads. Leaving it early ends the text."""
    import asyncio

    loop = asyncio.get_running_loop()
    stream = start()
    try:
        while (part := await loop.run_in_executor(executor, next, stream, None)) is not None:
            yield part
    finally:
        stream.cancel()


class TextBatcher(_core.TextBatcher):
    """Writes the texts of many prompts together, on a thread of its own. Any number of threads may call it at
    once, and none holds the GIL.

    Args:
        max_sequences: texts that are written at once, 16 unless said; a prompt with several texts or beams
            counts for as many.
        max_tokens: of a prompt and its text together; 0 is the package's context.
        max_cache_bytes: of what the model keeps of all texts: fewer are written at once; 0 is no bound.
        max_waiting: prompts that may wait, 1024 unless said; more raise OverloadedError.
    """

    _executor: ThreadPoolExecutor | None = None

    def __init__(self, model: _core.Model, /, **options: Any) -> None:
        super().__init__(model, **options)
        self._most = self.stats.max_sequences + int(options.get("max_waiting", 1024))
        self._calls = 0

    async def generate_async(self, prompt: str | os.PathLike[str] | bytes, **options: Any) -> Generation:
        """`generate` without blocking the event loop. Cancelled, it ends its texts."""
        import asyncio

        cancellation = _core._Cancellation()

        def call() -> Generation:
            return self._generate(prompt, cancellation, **options)

        if self._calls >= self._most:
            raise OverloadedError(f"{self._calls} calls wait already, of {self._most} that may")
        self._calls += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._waiters(), call)
        finally:
            cancellation.set()
            self._calls -= 1

    async def stream_async(
        self, prompt: str | os.PathLike[str] | bytes, **options: Any
    ) -> AsyncIterator[str]:
        """`stream` without blocking the event loop. Leaving it early ends the text."""
        async for part in parts_of(self._waiters(), lambda: self.stream(prompt, **options)):
            yield part

    def _waiters(self) -> ThreadPoolExecutor:
        """Threads that only wait: one for each prompt that is written or waits."""
        if self._executor is None:
            from concurrent.futures import ThreadPoolExecutor

            self._executor = ThreadPoolExecutor(self._most, thread_name_prefix="portfire")
        return self._executor
