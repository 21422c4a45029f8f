#include <png.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include <portfire/codecs.h>
#include <portfire/error.h>

#include "codecs/orientation.h"
#include "codecs/stored_image.h"
#include "core/text.h"

namespace portfire {
namespace {

// Text and EXIF are the only ancillary chunks that are kept (for the orientation), and they may unpack
// to this much, this many times.
constexpr png_alloc_size_t kMaxChunkBytes = 2 << 20;
constexpr png_uint_32 kMaxChunks = 32;

// Note [libpng's errors]: libpng reports through longjmp, which runs no destructors. Every call to it is
// made inside `guarded`, whose steps hold nothing that has one.
struct Source {
  std::span<const std::byte> rest;
  std::array<char, 160> message{};
};

[[noreturn]] void fail(png_structp png, png_const_charp message) {
  auto* source = static_cast<Source*>(png_get_error_ptr(png));
  std::snprintf(source->message.data(), source->message.size(), "%s", message);
  png_longjmp(png, 1);
}

void read_bytes(png_structp png, png_bytep out, std::size_t count) {
  auto* source = static_cast<Source*>(png_get_io_ptr(png));
  if (count > source->rest.size()) png_error(png, "the file ends too early");
  std::memcpy(out, source->rest.data(), count);
  source->rest = source->rest.subspan(count);
}

class Reader {
 public:
  Reader(std::span<const std::byte> bytes, std::string_view name) : name_(name), source_{.rest = bytes} {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, &source_, fail, [](png_structp, png_const_charp) {});
    info_ = png_ == nullptr ? nullptr : png_create_info_struct(png_);
    end_ = info_ == nullptr ? nullptr : png_create_info_struct(png_);
    if (end_ == nullptr) {
      png_destroy_read_struct(&png_, &info_, &end_);
      throw Error(ErrorCode::kResourceExhausted, cat(name_, ": no memory for a PNG reader"));
    }
  }
  ~Reader() { png_destroy_read_struct(&png_, &info_, &end_); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  png_structp png() { return png_; }
  png_infop info() { return info_; }
  png_infop end() { return end_; }
  Source& source() { return source_; }

  template <typename Step>
  void guarded(Step step) {
    if (setjmp(png_jmpbuf(png_)) == 0) {
      step();
      return;
    }
    throw Error(ErrorCode::kInvalidInput, cat(name_, ": truncated or damaged PNG (", source_.message.data(), ")"));
  }

 private:
  std::string name_;
  Source source_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  png_infop end_ = nullptr;  // the chunks after the pixels
};

/// A palette entry or pixel over white; the rounding is Pillow's `alpha_composite`.
std::uint8_t over_white(int value, int alpha) {
  const int sum = value * alpha + 255 * (255 - alpha) + 128;
  return static_cast<std::uint8_t>((sum + (sum >> 8)) >> 8);
}

struct Palette {
  std::array<std::array<std::uint8_t, 3>, 256> rgb{};
  int size = 0;
};

Palette palette_of(Reader& reader) {
  Palette palette;
  png_colorp colours = nullptr;
  png_bytep alphas = nullptr;
  int alpha_count = 0;
  png_get_PLTE(reader.png(), reader.info(), &colours, &palette.size);
  png_get_tRNS(reader.png(), reader.info(), &alphas, &alpha_count, nullptr);
  for (int i = 0; i < palette.size; ++i) {
    const int alpha = i < alpha_count ? alphas[i] : 255;
    palette.rgb[static_cast<std::size_t>(i)] = {over_white(colours[i].red, alpha), over_white(colours[i].green, alpha),
                                                over_white(colours[i].blue, alpha)};
  }
  return palette;
}

/// False when an index lies past the palette.
bool expand_palette(const Palette& palette, const std::uint8_t* indices, std::uint8_t* rgb, std::size_t pixels) {
  for (; pixels > 0; --pixels, ++indices, rgb += 3) {
    if (*indices >= palette.size) return false;
    std::memcpy(rgb, palette.rgb[*indices].data(), 3);
  }
  return true;
}

void composite(const std::uint8_t* rgba, std::uint8_t* rgb, std::size_t pixels) {
  for (; pixels > 0; --pixels, rgba += 4, rgb += 3) {
    for (int i = 0; i < 3; ++i) rgb[i] = over_white(rgba[i], rgba[3]);
  }
}

/// What the metadata in `info` says; eXIf before ImageMagick's profile before XMP, as Pillow looks.
struct Orientations {
  std::optional<int> exif, profile, xmp;
};

void collect_orientations(Reader& reader, png_infop info, Orientations& found) {
  png_uint_32 exif_bytes = 0;
  png_bytep exif = nullptr;
  if (png_get_eXIf_1(reader.png(), info, &exif_bytes, &exif) != 0) {
    found.exif = orientation_in_exif(std::as_bytes(std::span(exif, exif_bytes)));
  }
  png_textp texts = nullptr;
  int count = 0;
  png_get_text(reader.png(), info, &texts, &count);
  for (int i = 0; i < count; ++i) {
    const std::string_view key(texts[i].key);
    const std::size_t length = texts[i].compression > 0 ? texts[i].itxt_length : texts[i].text_length;
    const std::string_view text(texts[i].text, length);
    if (key == "Raw profile type exif") found.profile = orientation_in_raw_profile(text);
    if (key == "XML:com.adobe.xmp") found.xmp = orientation_in_xmp(text);
  }
}

/// libpng takes as much memory as a chunk says it is long, so none may say more than the file holds.
void require_whole_chunks(std::span<const std::byte> rest, std::string_view name) {
  constexpr std::size_t kSignature = 8;
  constexpr std::size_t kAround = 12;  // length, type and CRC
  rest = rest.subspan(kSignature);
  while (true) {
    const auto byte = [&](std::size_t i) { return std::to_integer<std::size_t>(rest[i]); };
    const std::size_t length =
        rest.size() < kAround ? 0 : byte(0) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3);
    if (rest.size() < kAround || length > rest.size() - kAround) {
      throw Error(ErrorCode::kInvalidInput, cat(name, ": truncated or damaged PNG (the file ends in a chunk)"));
    }
    if (std::memcmp(rest.data() + 4, "IEND", 4) == 0) return;
    rest = rest.subspan(length + kAround);
  }
}

void read_header(Reader& reader) {
  png_structp png = reader.png();
  png_set_read_fn(png, &reader.source(), read_bytes);
  png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // `require_pixels` has the word
  png_set_chunk_malloc_max(png, kMaxChunkBytes);
  png_set_chunk_cache_max(png, kMaxChunks);
  png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  constexpr std::string_view kKept("eXIf\0iTXt\0tEXt\0zTXt\0", 20);
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_AS_DEFAULT, reinterpret_cast<png_const_bytep>(kKept.data()), 4);
  png_read_info(png, reader.info());
}

}  // namespace

StoredImage decode_png(std::span<const std::byte> bytes, std::string_view name, std::int64_t max_pixels) {
  require_whole_chunks(bytes, name);
  Reader reader(bytes, name);
  png_structp png = reader.png();
  reader.guarded([&] { read_header(reader); });
  const std::int64_t width = png_get_image_width(png, reader.info());
  const std::int64_t height = png_get_image_height(png, reader.info());
  require_pixels(name, width, height, max_pixels);

  const bool indexed = png_get_color_type(png, reader.info()) == PNG_COLOR_TYPE_PALETTE;
  int passes = 1;
  std::size_t channels = 0;
  reader.guarded([&] {
    if (indexed) {
      png_set_packing(png);
    } else {
      png_set_expand(png);  // to 8 bits and, from tRNS (compared at full depth), to alpha
      png_set_strip_16(png);
      png_set_gray_to_rgb(png);
    }
    passes = png_set_interlace_handling(png);
    png_read_update_info(png, reader.info());
    channels = png_get_channels(png, reader.info());
  });

  Tensor pixels = Tensor::zeros(DType::kUInt8, {height, width, 3});
  auto* rgb = static_cast<std::uint8_t*>(pixels.mutable_data());
  const auto columns = static_cast<std::size_t>(width);
  const auto rows = static_cast<std::size_t>(height);
  const Palette palette = indexed ? palette_of(reader) : Palette{};
  const bool staged = channels != 3;
  const bool interlaced = passes > 1;
  std::vector<std::uint8_t> stage(staged ? columns * channels * (interlaced ? rows : 1) : 0);
  reader.guarded([&] {
    for (int pass = 1; pass <= passes; ++pass) {
      for (std::size_t y = 0; y < rows; ++y) {
        std::uint8_t* out = rgb + y * columns * 3;
        std::uint8_t* row = staged ? stage.data() + (interlaced ? y * columns * channels : 0) : out;
        png_read_row(png, row, nullptr);
        if (!staged || pass < passes) continue;
        if (!indexed) {
          composite(row, out, columns);
        } else if (!expand_palette(palette, row, out, columns)) {
          png_error(png, "a pixel's index lies past the palette");
        }
      }
    }
    png_read_end(png, reader.end());
  });

  Orientations found;
  collect_orientations(reader, reader.info(), found);
  collect_orientations(reader, reader.end(), found);
  const std::optional<int> exif = found.exif ? found.exif : found.profile;
  return {std::move(pixels), exif.value_or(found.xmp.value_or(1))};
}

std::vector<std::byte> encode_png(const Tensor& image) {
  const Dims& shape = image.shape();
  const bool grey = image.rank() == 2;
  const bool right = grey || (image.rank() == 3 && shape[2] == 3);
  if (image.dtype() != DType::kUInt8 || !right || image.numel() == 0) {
    throw Error(ErrorCode::kInvalidArgument,
                cat("a picture to encode is uint8 [H, W, 3] or [H, W] and not empty; this is ", image.to_string(0)));
  }
  const Tensor plain = image.contiguous();
  png_image header{};
  header.version = PNG_IMAGE_VERSION;
  header.width = static_cast<png_uint_32>(shape[1]);
  header.height = static_cast<png_uint_32>(shape[0]);
  header.format = grey ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  if (shape[0] > PNG_UINT_31_MAX || shape[1] > PNG_UINT_31_MAX || image.numel() > PNG_UINT_31_MAX) {
    throw Error(ErrorCode::kInvalidArgument, cat("a picture of shape ", shape.to_string(), " is too large for PNG"));
  }
  std::vector<std::byte> bytes(PNG_IMAGE_PNG_SIZE_MAX(header));
  png_alloc_size_t size = bytes.size();
  if (png_image_write_to_memory(&header, bytes.data(), &size, 0, plain.data(), 0, nullptr) == 0) {
    throw Error(ErrorCode::kInternal, cat("a PNG was not written: ", header.message));
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace portfire
