"""The public text sets: where they come from."""

from __future__ import annotations

from collections.abc import Sequence

from portfire.train.remote import DataSet, RemoteFile

_GITHUB = "https://raw.githubusercontent.com/"
# Name, bytes, sha256.
_NAMES = (
    ("Arabic.txt", 13190, "6f424a8dbe51cbbbabab7a57d38b617210125e4e3991f3c657cb79b8f104bafc"),
    ("Chinese.txt", 1246, "09ba8f1f7e38dbc99372d461b26ad4433b811fc6bfa6a3ecca6fe11a9a777465"),
    ("Czech.txt", 3916, "e17ab0ec47616a72c39cb85c783f70c3663ab64488721e5d8378f146d2226be7"),
    ("Dutch.txt", 2351, "924f32b635170eae561f84538632138fc07d4c8bbd70ba3fb980de1ecc4d2af3"),
    ("English.txt", 27125, "9cca037066d3d5989e24bc01801416162de506b5e28e15b7c092a47905d29bf2"),
    ("French.txt", 2178, "81e65b36c60ed5b89a17422f6edcadbb89546f38ad69e960e64e7ba682012a95"),
    ("German.txt", 5610, "7449cd590b97a733e18d613a4155decd77ec35dc5f8aadd7a82204dce4f051db"),
    ("Greek.txt", 1981, "3555b5186de7f401e6d991b088e9e644ca3099116477818c25ab5793801389e6"),
    ("Irish.txt", 1858, "cf8c7013256252a88d2503127b87282a11f21b2ff6db1bded68834c19a1ec058"),
    ("Italian.txt", 5657, "f88414c27d0606a11a678b4859277828c2565d6cc4d9ee932deef6e94f3b35e4"),
    ("Japanese.txt", 7622, "e0e717e114fec3e7eade4d9dabe0067c475f43147e36a22b47902ee76ad9e67f"),
    ("Korean.txt", 423, "cd54221ccb362a6cba4c78828838cf3268a0e59744767a37cf6ec4b74036b136"),
    ("Polish.txt", 1165, "45bab898af2f60ed3a728bbf6980e28821011a7caa53227553b5785903a40826"),
    ("Portuguese.txt", 554, "50a8735f41f4f73757c8ce5b16cb0275cd86b2b214bcbc8c9805f508cb131c53"),
    ("Russian.txt", 85168, "0cfe53ac18041e8f63666aa77313e0a3ff378facb132abee052d8ebdc8c3d62c"),
    ("Scottish.txt", 752, "78d0252711d87d948ea86fe34826c51d2d794a8e52d15b5d6f7b6244d45d62dd"),
    ("Spanish.txt", 2284, "1bcb462ed3316756a85781d68232bddae04498fdddd5d9219c53fd1fbdeba7a7"),
    ("Vietnamese.txt", 339, "f3f9e4164ab47601178a6e45b216464a64122f49d05541f24bf18a757253281d"),
)
_POLARITY = (
    ("rt-polarity.neg", 612256, "4ace77d558c3714723843f1d65b60c01e3417b208180f0728808d76ad0eeeaca"),
    ("rt-polarity.pos", 626139, "2da124ec187a9d5a29c9f04e91c540e02baed5af8868f550a26bd6fd4dbf8bf0"),
)
_UCI = (
    ("amazon_cells_labelled.txt", 58226, "47003fc0a0d4840b00e96e715b6189bad09e7443a3da41c4cbe12ffc79f86ae3"),
    ("imdb_labelled.txt", 85285, "aef2e49e3da25714d61175e3a6e68eeef74a20a2f914318dc3be9947ea86512d"),
    ("yelp_labelled.txt", 61320, "c76468b7b5c6e56a0804d728345c5f84aa2142ddb214420f61cc9cfd4c00d2ea"),
)


def _files(base: str, rows: Sequence[tuple[str, int, str]]) -> tuple[RemoteFile, ...]:
    return tuple(RemoteFile(url=base + name, size=size, sha256=sha256) for name, size, sha256 in rows)


TEXT_SETS = (
    DataSet(
        name="names",
        title="Family names of 18 languages, 20,050 lines, from a PyTorch tutorial",
        licence="MIT",
        source="https://github.com/spro/practical-pytorch",
        folder="names_by_language",
        files=_files(_GITHUB + "spro/practical-pytorch/master/data/names/", _NAMES),
    ),
    DataSet(
        name="polarity",
        title="Sentence polarity dataset v1.0 (Pang and Lee 2005), 10,662 sentences of film reviews",
        licence="CC BY 4.0",
        source="https://www.cs.cornell.edu/people/pabo/movie-review-data/",
        folder="rt_polarity",
        files=_files(_GITHUB + "yoonkim/CNN_sentence/master/", _POLARITY),
    ),
    DataSet(
        name="uci",
        title="Sentiment labelled sentences (Kotzias et al. 2015), 3,000 of Amazon, IMDb and Yelp",
        licence="CC BY 4.0",
        source="https://archive.ics.uci.edu/dataset/331",
        folder="sentiment_uci",
        files=_files(_GITHUB + "rmediero/sentiment-labelled-sentences/master/data/", _UCI),
    ),
    DataSet(
        name="imdb",
        title="Large movie review dataset v1.0 (Maas et al. 2011), 25,000 + 25,000 film reviews",
        licence="not stated",
        source="https://ai.stanford.edu/~amaas/data/sentiment/",
        folder="aclImdb",
        files=(
            RemoteFile(
                url="https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
                size=84125825,
                sha256="c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe",
            ),
        ),
        unpacks_to="aclImdb",
    ),
    DataSet(
        name="sst2",
        title="Stanford sentiment treebank, two classes, as in GLUE: 67,349 + 872 phrases of film reviews",
        licence="not stated",
        source="https://gluebenchmark.com/tasks",
        folder="SST-2",
        files=(
            RemoteFile(
                url="https://dl.fbaipublicfiles.com/glue/data/SST-2.zip",
                size=7439277,
                sha256="d67e16fb55739c1b32cdce9877596db1c127dc322d93c082281f64057c16deaa",
            ),
        ),
        unpacks_to="SST-2",
    ),
)
# Without classes, for language models.
CORPORA = (
    DataSet(
        name="wikitext-2",
        title="WikiText-2 (Merity et al. 2016), words of Wikipedia, 2,088,628 + 217,646 + 245,569",
        licence="CC BY-SA 3.0",
        source="https://arxiv.org/abs/1609.07843",
        folder="wikitext-2",  # its public home is gone, so nothing is downloaded
    ),
    DataSet(
        name="tinyshakespeare",
        title="Tiny Shakespeare (Karpathy 2015), 40,000 lines of the plays, 1,115,394 characters",
        licence="public domain",
        source="https://github.com/karpathy/char-rnn",
        folder="tinyshakespeare",
        files=_files(
            _GITHUB + "karpathy/char-rnn/master/data/tinyshakespeare/",
            (
                (
                    "input.txt",
                    1115394,
                    "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
                ),
            ),
        ),
    ),
)
