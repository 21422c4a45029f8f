#include "core/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

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
