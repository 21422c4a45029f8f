"""Pictures in and out of Python's world: PIL images, and answers as notebooks show them."""

from __future__ import annotations

import base64
import html
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portfire._core import Classification, Error, encode_png, tensor

if TYPE_CHECKING:
    from PIL.Image import Image

_MOST_BYTES = 2 * 1024 * 1024  # a larger picture is left out of the notebook
_MEDIA = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg"}


def from_pil(image: Image) -> Any:
    """An RGB image's pixels as uint8 [H, W, 3]; any other mode as PNG, for the codec to convert."""
    import numpy
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(image)
    if upright.mode == "RGB" and "transparency" not in upright.info:
        return numpy.asarray(upright)
    if upright.mode not in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        return numpy.asarray(upright.convert("RGB"))
    file = io.BytesIO()
    upright.save(file, "PNG", compress_level=1)
    return file.getvalue()


def classification_html(answer: Classification) -> str:
    """The picture beside a bar for each class."""
    uri = _data_uri(answer.source)
    picture = (
        f'<img src="{uri}" style="max-width:160px;max-height:160px;min-width:64px;image-rendering:pixelated">'
        if uri
        else ""
    )
    rows = "".join(
        f'<tr><td style="text-align:left">{html.escape(scored.label)}</td><td style="width:160px">'
        f'<div style="background:#e4572e;height:10px;width:{scored.probability:.1%}"></div></td>'
        f"<td>{scored.probability:.1%}</td></tr>"
        for scored in answer.top
    )
    return f'<div style="display:flex;gap:16px;align-items:center">{picture}<table>{rows}</table></div>'


def _data_uri(source: object) -> str:
    """The source as it can stand in a page; empty where it is no picture, or too large, or gone."""
    try:
        data = _picture_bytes(source)
    except (Error, OSError):
        return ""
    media = next((media for start, media in _MEDIA.items() if data.startswith(start)), "")
    if not media or len(data) > _MOST_BYTES:
        return ""
    return f"data:{media};base64,{base64.b64encode(data).decode()}"


def _picture_bytes(source: Any) -> bytes:
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        return path.read_bytes() if path.stat().st_size <= _MOST_BYTES else b""
    if isinstance(source, (bytes, bytearray)):
        return bytes(source)
    if source is None or hasattr(source, "keys"):
        return b""
    pixels = from_pil(source) if hasattr(source, "getexif") else source
    return pixels if isinstance(pixels, bytes) else encode_png(tensor(pixels))
