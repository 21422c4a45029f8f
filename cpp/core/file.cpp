#include "core/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include <portfire/error.h>

#include "core/text.h"

namespace portfire {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
  [[nodiscard]] int get() const { return fd_; }
  int release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }

 private:
  int fd_;
};

[[noreturn]] void fail(const std::string& path, const char* what, int error) {
  const bool missing = error == ENOENT || error == ENOTDIR;
  throw Error(missing ? ErrorCode::kNotFound : ErrorCode::kIo,
              cat(path, ": ", missing ? "no such file" : cat(what, ": ", std::strerror(error))));
}

Descriptor open_to_read(const std::string& path) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) fail(path, "cannot be opened", errno);
  return file;
}

std::size_t size_of_regular(const Descriptor& file, const std::string& path, std::size_t max_bytes) {
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) fail(path, "cannot be read", errno);
  if (!S_ISREG(status.st_mode)) {
    throw Error(ErrorCode::kIo, cat(path, ": not a regular file; give the path of a file"));
  }
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size > max_bytes) {
    throw Error(ErrorCode::kResourceExhausted,
                cat(path, ": ", human_bytes(static_cast<double>(size)), "; at most ",
                    human_bytes(static_cast<double>(max_bytes)), " are read"));
  }
  return size;
}

}  // namespace

std::vector<std::byte> read_file(const std::string& path, std::size_t max_bytes) {
  const Descriptor file = open_to_read(path);
  const std::size_t size = size_of_regular(file, path, max_bytes);
  std::vector<std::byte> bytes(size);
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got = ::read(file.get(), bytes.data() + done, size - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(path, "cannot be read", errno);
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  bytes.resize(done);
  return bytes;
}

SharedBytes map_file(const std::string& path, std::size_t max_bytes) {
  const Descriptor file = open_to_read(path);
  const std::size_t size = size_of_regular(file, path, max_bytes);
  if (size == 0) return {};
  void* begin = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, file.get(), 0);
  if (begin == MAP_FAILED) fail(path, "cannot be mapped", errno);
  return {.owner = std::shared_ptr<const void>(begin, [size](const void* at) { ::munmap(const_cast<void*>(at), size); }),
          .bytes = {static_cast<const std::byte*>(begin), size}};
}

namespace {

constexpr std::size_t kPiece = 4096;  // of what is read in parts

}  // namespace

std::shared_ptr<FileInParts> FileInParts::open(const std::string& path, std::size_t max_bytes) {
  Descriptor file = open_to_read(path);
  const std::size_t size = size_of_regular(file, path, max_bytes);
  void* room = nullptr;
  if (size > 0) {
    room = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED) throw std::bad_alloc();
  }
  return std::shared_ptr<FileInParts>(new FileInParts(path, file.release(), static_cast<std::byte*>(room), size));
}

FileInParts::FileInParts(std::string path, int fd, std::byte* room, std::size_t size)
    : path_(std::move(path)), fd_(fd), room_(room), size_(size), filled_((size + kPiece - 1) / kPiece, false) {}

FileInParts::~FileInParts() {
  if (room_ != nullptr) ::munmap(room_, size_);
  ::close(fd_);
}

void FileInParts::fill(std::size_t offset, std::size_t size) {
  if (size == 0) return;
  const std::lock_guard lock(mutex_);
  const std::size_t end = (offset + size - 1) / kPiece + 1;
  for (std::size_t first = offset / kPiece; first < end; ++first) {
    if (filled_[first]) continue;
    std::size_t last = first;
    while (last < end && !filled_[last]) ++last;
    read(first * kPiece, {room_ + first * kPiece, std::min(last * kPiece, size_) - first * kPiece});
    std::fill(filled_.begin() + static_cast<std::ptrdiff_t>(first), filled_.begin() + static_cast<std::ptrdiff_t>(last), true);
    first = last;
  }
}

void FileInParts::read(std::size_t offset, std::span<std::byte> to) const {
  std::size_t done = 0;
  while (done < to.size()) {
    const ssize_t got = ::pread(fd_, to.data() + done, to.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(path_, "cannot be read", errno);
    if (got == 0) throw Error(ErrorCode::kIo, cat(path_, ": ends after ", offset + done, " of ", size_, " bytes; it was cut short while it was read"));
    done += static_cast<std::size_t>(got);
  }
}

void write_file(const std::string& path, std::span<const std::byte> bytes) {
  std::string beside = path + ".partial-XXXXXX";
  Descriptor file(::mkostemp(beside.data(), O_CLOEXEC));
  if (file.get() < 0) {
    throw Error(ErrorCode::kIo, cat(path, ": cannot be written: ", std::strerror(errno)));
  }
  const auto abandon = [&](int error) {
    ::unlink(beside.c_str());
    throw Error(ErrorCode::kIo, cat(path, ": cannot be written: ", std::strerror(error)));
  };
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t put = ::write(file.get(), bytes.data() + done, bytes.size() - done);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) abandon(errno);
    done += static_cast<std::size_t>(put);
  }
  if (::fchmod(file.get(), 0644) != 0 || ::fsync(file.get()) != 0) abandon(errno);
  if (::close(file.release()) != 0) abandon(errno);
  if (::rename(beside.c_str(), path.c_str()) != 0) abandon(errno);
}

}  // namespace portfire
