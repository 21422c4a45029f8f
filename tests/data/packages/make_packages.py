"""Writes linear.pt, the TorchScript archive that the archive layer's tests read.

`python tests/data/packages/make_packages.py`; the file is committed, so this is run only to change it.
"""

from pathlib import Path

import torch


def main() -> None:
    torch.manual_seed(0)
    module = torch.jit.script(torch.nn.Linear(2, 1))
    torch.jit.save(module, str(Path(__file__).with_name("linear.pt")))


if __name__ == "__main__":
    main()
