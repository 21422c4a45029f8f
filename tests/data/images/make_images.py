"""Make the pictures in this folder, and beside each the pixels that Pillow reads from it.

`<file>` is decoded to `<file>.npy`, uint8 (H, W, 3). The PNG files are put together here byte by
byte, because Pillow writes neither interlaced ones nor every depth. Run it only to add a case:

    python tests/data/images/make_images.py
"""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

HERE = Path(__file__).parent
Pixels = npt.NDArray[np.uint8]
Samples = npt.NDArray[np.int64]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {"grey": 1, "rgb": 3, "palette": 1, "grey_alpha": 2, "rgba": 4}
COLOUR_TYPE = {"grey": 0, "rgb": 2, "palette": 3, "grey_alpha": 4, "rgba": 6}
DEPTHS = {
    "grey": (1, 2, 4, 8, 16),
    "rgb": (8, 16),
    "palette": (1, 2, 4, 8),
    "grey_alpha": (8, 16),
    "rgba": (8, 16),
}
ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def pillow_pixels(data: bytes) -> Pixels:
    """Return what `portfire.decode_image` is held against, uint8 (H, W, 3)."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if "A" in image.mode or "transparency" in image.info:
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        white.alpha_composite(image.convert("RGBA"))
        image = white
    return np.asarray(image.convert("RGB"))


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return one PNG chunk with its length and CRC."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def packed_row(samples: Samples, depth: int) -> bytes:
    """Return a scanline: `samples` of `depth` bits, the most significant first."""
    if depth >= 8:
        return samples.astype(f">u{depth // 8}").tobytes()
    bits = (samples[:, None] >> np.arange(depth - 1, -1, -1)) & 1
    return np.packbits(bits.astype(np.uint8).ravel()).tobytes()


def filtered(samples: Samples, depth: int) -> bytes:
    """Return the scanlines of one pass, each as its difference from the one above (filter 2)."""
    rows = np.stack([np.frombuffer(packed_row(row.ravel(), depth), np.uint8) for row in samples])
    rows = np.diff(rows, axis=0, prepend=np.zeros_like(rows[:1]))
    return b"".join(b"\2" + row.tobytes() for row in rows)


def png(
    samples: Samples,
    kind: str,
    depth: int,
    *,
    interlaced: bool = False,
    palette: bytes = b"",
    transparency: bytes = b"",
    before: bytes = b"",
    after: bytes = b"",
) -> bytes:
    """Return a PNG of `samples` (H, W, channels), with more chunks `before` and `after` its pixels."""
    height, width = samples.shape[:2]
    parts = [samples[y::dy, x::dx] for y, x, dy, dx in ADAM7] if interlaced else [samples]
    scanlines = b"".join(filtered(part, depth) for part in parts if part.size)
    header = struct.pack(">IIBBBBB", width, height, depth, COLOUR_TYPE[kind], 0, 0, int(interlaced))
    data = SIGNATURE + chunk(b"IHDR", header) + before
    if palette:
        data += chunk(b"PLTE", palette)
    if transparency:
        data += chunk(b"tRNS", transparency)
    pixels = zlib.compress(scanlines, 9)
    return data + chunk(b"IDAT", pixels[:7]) + chunk(b"IDAT", pixels[7:]) + after + chunk(b"IEND", b"")


def save(name: str, data: bytes, pixels: Pixels | None = None) -> None:
    """Write a picture and its pixels: Pillow's, but for the cases that `main` explains."""
    path = HERE / name
    path.write_bytes(data)
    np.save(HERE / f"{name}.npy", np.ascontiguousarray(pillow_pixels(data) if pixels is None else pixels))


def expected_from_samples(samples: Samples, depth: int, key: Samples | None) -> Pixels:
    """Return grey or RGB samples as 8 bits, with those equal to `key` white (transparent)."""
    eight = samples >> 8 if depth == 16 else samples * 255 // (2**depth - 1)
    if key is not None:
        eight = np.where((samples == key).all(axis=2, keepdims=True), 255, eight)
    return np.broadcast_to(eight, (*samples.shape[:2], 3)).astype(np.uint8)


def make_png_files() -> None:
    """Write every kind, depth, interlacing and transparency of PNG."""
    generator = np.random.default_rng(0)
    for kind, depths in DEPTHS.items():
        for depth in depths:
            samples = generator.integers(0, 2**depth, (11, 13, CHANNELS[kind]))
            palette = generator.bytes(3 * 2**depth) if kind == "palette" else b""
            name = f"{kind}{depth}"
            # Pillow clips 16-bit grey at 255, where 8 bits are the high byte as for 16-bit RGB.
            clipped = (kind, depth) == ("grey", 16)
            opaque = expected_from_samples(samples, depth, None) if clipped else None
            for interlaced in (False, True):
                data = png(samples, kind, depth, interlaced=interlaced, palette=palette)
                save(f"{name}{'_interlaced' if interlaced else ''}.png", data, opaque)
            if kind == "palette":
                alphas = generator.bytes(2**depth - 1)
                save(f"{name}_trns.png", png(samples, kind, depth, palette=palette, transparency=alphas))
            elif kind in ("grey", "rgb"):
                key = samples[3, 4]
                data = png(samples, kind, depth, transparency=key.astype(">u2").tobytes())
                # Pillow compares the key with samples already scaled to 8 bits, and so finds the wrong
                # ones at other depths; it is right at 8.
                save(f"{name}_trns.png", data, expected_from_samples(samples, depth, key))
                if depth == 8:
                    assert np.array_equal(np.load(HERE / f"{name}_trns.png.npy"), pillow_pixels(data))

    values, alphas_2d = np.meshgrid(np.arange(256), np.arange(256))
    pairs = png(np.stack([values, alphas_2d], axis=2), "grey_alpha", 8)
    (HERE / "alpha_pairs").mkdir(exist_ok=True)
    (HERE / "alpha_pairs/input.png").write_bytes(pairs)
    Image.fromarray(pillow_pixels(pairs)[:, :, 0]).save(HERE / "alpha_pairs/expected.png", optimize=True)


def photo(width: int = 29, height: int = 19) -> Image.Image:
    """Return an RGB picture with edges, slopes and noise."""
    y, x = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(1).integers(0, 30, (height, width, 3))
    rgb = np.stack([x * 7, y * 11, (x // 5 + y // 4) % 2 * 200], axis=2) + noise
    return Image.fromarray(rgb.astype(np.uint8))


def jpeg(image: Image.Image, **options: object) -> bytes:
    """Return `image` as Pillow writes it, at quality 85."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=85, **options)
    return out.getvalue()


def exif(orientation: int, order: str = "<") -> bytes:
    """Return an EXIF block of one tag."""
    start = b"II*\0" if order == "<" else b"MM\0*"
    fields = struct.pack(order + "IHHHIHHI", 8, 1, 0x112, 3, 1, orientation, 0, 0)
    return b"Exif\0\0" + start + fields


def make_jpeg_files() -> None:
    """Write the kinds of JPEG that differ in how they are decoded."""
    image = photo()
    for subsampling in ("4:4:4", "4:2:2", "4:2:0"):
        save(f"jpeg{subsampling.replace(':', '')}.jpg", jpeg(image, subsampling=subsampling))
    save("progressive.jpg", jpeg(image, progressive=True))
    save("restarts.jpg", jpeg(image, restart_marker_blocks=1))
    save("grey.jpg", jpeg(image.convert("L")))
    save("rgb_components.jpg", jpeg(image, keep_rgb=True))
    cmyk = jpeg(image.convert("CMYK"))
    adobe = cmyk.index(b"\xff\xee\x00\x0eAdobe")
    save("cmyk.jpg", cmyk)
    save("cmyk_progressive.jpg", jpeg(image.convert("CMYK"), progressive=True))
    save("cmyk_without_adobe.jpg", cmyk[:adobe] + cmyk[adobe + 16 :])
    save("ycck.jpg", cmyk[: adobe + 15] + b"\2" + cmyk[adobe + 16 :])


def make_turned_files() -> None:
    """Write the orientations, and every place in a file that can say one."""
    image = photo(9, 6)
    samples = np.asarray(image).astype(np.int64)
    for orientation in range(1, 9):
        save(f"exif{orientation}.jpg", jpeg(image, exif=exif(orientation)))
    save("exif9_meaningless.jpg", jpeg(image, exif=exif(9)))
    save("exif_big_endian.jpg", jpeg(image, exif=exif(6, ">")))
    xmp = b'<rdf:Description tiff:Orientation="6"/>'
    save("xmp.jpg", jpeg(image, xmp=xmp))
    save("exif_before_xmp.jpg", jpeg(image, xmp=xmp, exif=exif(3)))

    exif_chunk = chunk(b"eXIf", exif(8)[6:])
    save("exif.png", png(samples, "rgb", 8, before=exif_chunk))
    save("exif_after_pixels.png", png(samples, "rgb", 8, after=exif_chunk))
    xmp_chunk = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)
    save("xmp.png", png(samples, "rgb", 8, before=xmp_chunk))
    save("exif_before_xmp.png", png(samples, "rgb", 8, before=exif_chunk + xmp_chunk))
    profile = exif(5).hex()
    text = f"\nexif\n{len(profile) // 2:8}\n{profile[:72]}\n{profile[72:]}\n".encode()
    raw_profile = chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text))
    save("raw_profile.png", png(samples, "rgb", 8, before=raw_profile))


def segment(marker: int, data: bytes) -> bytes:
    """Return one JPEG marker segment."""
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def many_scans(refined: bool) -> bytes:
    """Return a well-formed 8 x 8 progressive JPEG of 64 scans, or of 127 when each is refined once."""
    one_code = bytes([1] + [0] * 15 + [0])  # the single code 0, for the symbol 0
    data = b"\xff\xd8" + segment(0xDB, bytes([0] + [1] * 64))
    data += segment(0xC2, struct.pack(">BHHBBBB", 8, 8, 8, 1, 1, 0x11, 0))
    data += segment(0xC4, b"\x00" + one_code) + segment(0xC4, b"\x10" + one_code)
    scans = [(0, 0x00)] + [(k, 0x01 if refined else 0x00) for k in range(1, 64)]
    scans += [(k, 0x10) for k in range(1, 64)] if refined else []
    for coefficient, approximation in scans:
        data += segment(0xDA, bytes([1, 1, 0, coefficient, coefficient, approximation])) + b"\x7f"
    return data + b"\xff\xd9"


def make_refused_files() -> None:
    """Write pictures that are refused, each for one reason."""
    bad = HERE / "refused"
    bad.mkdir(exist_ok=True)
    grey = np.zeros((4, 4, 1), np.int64)
    huge = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(100)))
    (bad / "huge.png").write_bytes(SIGNATURE + chunk(b"IHDR", huge) + pixels + chunk(b"IEND", b""))
    (bad / "index_past_palette.png").write_bytes(png(grey + 3, "palette", 8, palette=bytes(9)))
    short = png(grey, "grey", 8).replace(struct.pack(">II", 4, 4), struct.pack(">II", 4, 5))
    crc = struct.pack(">I", zlib.crc32(short[12:29]))
    (bad / "too_few_rows.png").write_bytes(short[:29] + crc + short[33:])
    bomb = chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(bytes(3 << 20), 9))
    save("text_bomb_is_skipped.png", png(grey, "grey", 8, before=bomb), np.zeros((4, 4, 3), np.uint8))
    save("scans64.jpg", many_scans(refined=False))
    (bad / "scans127.jpg").write_bytes(many_scans(refined=True))
    assert pillow_pixels(many_scans(refined=True)).shape == (8, 8, 3)


def main() -> None:
    """Write everything."""
    make_png_files()
    make_jpeg_files()
    make_turned_files()
    make_refused_files()


if __name__ == "__main__":
    main()
