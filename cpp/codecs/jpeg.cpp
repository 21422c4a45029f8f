#include <csetjmp>
#include <cstdio>  // jpeglib.h needs it before

#include <jpeglib.h>
#include <jerror.h>

#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include <portfire/error.h>

#include "codecs/orientation.h"
#include "codecs/stored_image.h"
#include "core/text.h"

namespace portfire {
namespace {

// A progressive file may hold any number of scans, each of which costs a pass over the whole picture
// and next to no bytes. Encoders write about ten.
constexpr int kMaxScans = 100;

// Note [libjpeg's errors]: libjpeg reports through longjmp, which runs no destructors. Every call to it
// is made inside `guarded`, whose steps hold nothing that has one.
struct ErrorManager {
  jpeg_error_mgr base;  // first: libjpeg hands back a pointer to it
  std::jmp_buf jump;
  std::array<char, JMSG_LENGTH_MAX> message;
};

[[noreturn]] void fail(j_common_ptr info) {
  auto* errors = reinterpret_cast<ErrorManager*>(info->err);
  errors->base.format_message(info, errors->message.data());
  std::longjmp(errors->jump, 1);
}

/// Warnings tell of lost pixels, so they are errors, but for those that leave the pixels whole.
void judge_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  const int code = info->err->msg_code;
  if (code == JWRN_EXTRANEOUS_DATA || code == JWRN_ADOBE_XFORM || code == JWRN_JFIF_MAJOR || code == JWRN_BOGUS_ICC) {
    return;
  }
  fail(info);
}

void count_scans(j_common_ptr info) {
  auto* errors = reinterpret_cast<ErrorManager*>(info->err);
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMaxScans) return;
  std::snprintf(errors->message.data(), errors->message.size(), "more than %d scans", kMaxScans);
  std::longjmp(errors->jump, 1);
}

class Reader {
 public:
  explicit Reader(std::string_view name) : name_(name) {
    info_.err = jpeg_std_error(&errors_.base);
    errors_.base.error_exit = fail;
    errors_.base.emit_message = judge_message;
    errors_.base.output_message = [](j_common_ptr) {};
    progress_.progress_monitor = count_scans;
    guarded([this] {
      jpeg_create_decompress(&info_);
      info_.progress = &progress_;
    });
  }
  ~Reader() { jpeg_destroy_decompress(&info_); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  jpeg_decompress_struct& info() { return info_; }

  template <typename Step>
  void guarded(Step step) {
    if (setjmp(errors_.jump) == 0) {
      step();
      return;
    }
    throw Error(ErrorCode::kInvalidInput,
                cat(name_, ": truncated, damaged or unknown kind of JPEG (", errors_.message.data(), ")"));
  }

 private:
  std::string name_;
  jpeg_decompress_struct info_{};
  jpeg_progress_mgr progress_{};
  ErrorManager errors_{};
};

int orientation_of(const jpeg_decompress_struct& info) {
  constexpr std::string_view kExif("Exif\0\0", 6);
  constexpr std::string_view kXmp("http://ns.adobe.com/xap/1.0/\0", 29);
  std::vector<std::byte> exif;  // may be spread over several markers
  std::string_view xmp;
  for (const jpeg_marker_struct* marker = info.marker_list; marker != nullptr; marker = marker->next) {
    const std::string_view data(reinterpret_cast<const char*>(marker->data), marker->data_length);
    if (data.starts_with(kExif)) {
      const auto* start = reinterpret_cast<const std::byte*>(data.data());
      exif.insert(exif.end(), start + kExif.size(), start + data.size());
    } else if (data.starts_with(kXmp)) {
      xmp = data.substr(kXmp.size());
    }
  }
  if (const auto orientation = orientation_in_exif(exif)) return *orientation;
  return orientation_in_xmp(xmp).value_or(1);
}

/// Four inks as Adobe stores them, inverted, to RGB; the rounding is Pillow's.
void rgb_from_inverted_cmyk(const std::uint8_t* cmyk, std::uint8_t* rgb, std::size_t pixels) {
  for (; pixels > 0; --pixels, cmyk += 4, rgb += 3) {
    const int white = cmyk[3];
    for (int i = 0; i < 3; ++i) {
      const int product = (255 - cmyk[i]) * white + 128;
      rgb[i] = static_cast<std::uint8_t>(white - ((product + (product >> 8)) >> 8));
    }
  }
}

/// The most that decoding may take: every coefficient of four components, padded to whole blocks.
long memory_limit(std::int64_t width, std::int64_t height) {
  constexpr std::int64_t kBlocks = 32;
  constexpr std::int64_t kOverhead = 32 << 20;
  const std::int64_t padded = (width + kBlocks) / kBlocks * kBlocks * ((height + kBlocks) / kBlocks * kBlocks);
  return static_cast<long>(kOverhead + padded * 4 * static_cast<std::int64_t>(sizeof(JCOEF)));
}

}  // namespace

StoredImage decode_jpeg(std::span<const std::byte> bytes, std::string_view name, std::int64_t max_pixels) {
  Reader reader(name);
  jpeg_decompress_struct& info = reader.info();
  reader.guarded([&] {
    jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    jpeg_save_markers(&info, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(&info, TRUE);
  });
  const std::int64_t width = info.image_width;
  const std::int64_t height = info.image_height;
  require_pixels(name, width, height, max_pixels);
  if (info.num_components == 2 || info.num_components > 4) {
    throw Error(ErrorCode::kInvalidInput,
                cat(name, ": a JPEG of ", info.num_components, " components; 1, 3 or 4 are needed"));
  }
  const int orientation = orientation_of(info);

  Tensor pixels = Tensor::zeros(DType::kUInt8, {height, width, 3});
  auto* rgb = static_cast<std::uint8_t*>(pixels.mutable_data());
  const bool cmyk = info.num_components == 4;
  std::vector<std::uint8_t> inks(cmyk ? static_cast<std::size_t>(width) * 4 : 0);
  const auto row_bytes = static_cast<std::size_t>(width) * 3;
  reader.guarded([&] {
    info.mem->max_memory_to_use = memory_limit(width, height);
    info.out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(&info);
    while (info.output_scanline < info.output_height) {
      std::uint8_t* out = rgb + info.output_scanline * row_bytes;
      JSAMPROW row = cmyk ? inks.data() : out;
      jpeg_read_scanlines(&info, &row, 1);
      if (cmyk) rgb_from_inverted_cmyk(inks.data(), out, static_cast<std::size_t>(width));
    }
    jpeg_finish_decompress(&info);
  });
  return {std::move(pixels), orientation};
}

}  // namespace portfire
