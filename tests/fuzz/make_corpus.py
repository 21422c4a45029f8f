"""Make the fuzzers' first inputs, `<folder>/<fuzzer>/`, from the test data and a few lines of text.

    python tests/fuzz/make_corpus.py build/fuzz/corpus
    build/fuzz/tests/fuzz/fuzz_png -max_total_time=60 build/fuzz/corpus/png
"""

import shutil
import sys
from pathlib import Path

DATA = Path(__file__).parent.parent / "data"
FILES = {
    "archive": ("packages", "*.pt"),
    "jpeg": ("images", "*.jpg"),
    "manifest": ("manifest", "*.json"),
    "npy": ("tensors", "*.npy"),
    "png": ("images", "*.png"),
    "safetensors": ("tensors", "*.safetensors"),
}
JSON = {
    "lists": '{"x": [[1, 2], [3, 4]], "y": [1.5, -2e3], "z": [true, false], "s": 7}',
    "typed": '{"x": {"dtype": "float16", "shape": [2, 2], "data": [1, 2, 3, 4]}}',
    "bare": "[[1.0], [2]]",
}


def make_corpus(corpus: Path) -> None:
    """Fill `corpus` with a folder for each fuzzer."""
    for fuzzer, (folder, pattern) in FILES.items():
        target = corpus / fuzzer
        target.mkdir(parents=True, exist_ok=True)
        for path in sorted((DATA / folder).rglob(pattern)):
            shutil.copy(path, target / "_".join(path.relative_to(DATA / folder).parts))
    (corpus / "json_tensors").mkdir(exist_ok=True)
    for name, text in JSON.items():
        (corpus / "json_tensors" / f"{name}.json").write_text(text)


if __name__ == "__main__":
    make_corpus(Path(sys.argv[1]))
