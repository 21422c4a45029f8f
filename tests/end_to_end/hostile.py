"""TorchScript files that do more than compute, as the real thing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

SECRET = b"a secret of the machine"


class _Writes(nn.Module):
    """Writes a file when it is called."""

    def __init__(self, target: str) -> None:
        super().__init__()
        self.target = target

    def forward(self, x: Tensor) -> Tensor:
        torch.save(x, self.target)
        return x


class _WritesAtLoad(nn.Module):
    """Writes a file while it is loaded."""

    def __init__(self, target: str) -> None:
        super().__init__()
        self.target = target

    @torch.jit.export
    def __getstate__(self) -> tuple[str, bool]:
        return (self.target, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]) -> None:
        self.target = state[0]
        self.training = state[1]
        torch.save(torch.zeros(3), self.target)

    def forward(self, x: Tensor) -> Tensor:
        return x


class _Reads(nn.Module):
    """Answers with a file's content when it is called."""

    def __init__(self, target: str) -> None:
        super().__init__()
        self.target = target

    def forward(self, x: Tensor) -> Tensor:
        return torch.from_file(self.target, False, 23, dtype=torch.uint8)


class _Maps(nn.Module):
    """Makes a file, through the operator that reads one, when it is called."""

    def __init__(self, target: str) -> None:
        super().__init__()
        self.target = target

    def forward(self, x: Tensor) -> Tensor:
        return torch.from_file(self.target, True, 23, dtype=torch.uint8)


_MODULES = {"writes": _Writes, "writes at load": _WritesAtLoad, "reads": _Reads, "maps": _Maps}
KINDS = tuple(_MODULES)


@dataclass(frozen=True, kw_only=True)
class HostileArchive:
    path: Path
    target: Path  # the file that it is after
    reads: bool  # the file is there and holds SECRET; else it is not there

    def undo(self) -> None:
        """Puts the target back as it was before anything ran."""
        if self.reads:
            self.target.write_bytes(SECRET)
        else:
            self.target.unlink(missing_ok=True)

    def untouched(self) -> bool:
        return self.target.read_bytes() == SECRET if self.reads else not self.target.exists()


def make(kind: str, folder: Path) -> HostileArchive:
    """Writes the archive; whoever makes it may touch the target, so `undo` comes next."""
    path, target = folder / "hostile.pt", folder / "target"
    torch.jit.save(torch.jit.script(_MODULES[kind](str(target))), str(path))
    return HostileArchive(path=path, target=target, reads=kind == "reads")
