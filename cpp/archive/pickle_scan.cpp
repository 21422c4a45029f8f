#include "archive/pickle_scan.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <portfire/error.h>

#include "core/text.h"

namespace portfire {
namespace {

/// What an opcode pushed, where that is a literal; `kOther` is anything that a storage is not made of.
struct Value {
  enum class Kind : std::uint8_t { kOther, kMark, kInt, kString, kGlobal, kStorage } kind = Kind::kOther;
  std::int64_t number = 0;
  std::string_view text{};
};

/// Bytes of one element of torch's storage classes; 0 for a name that is none.
std::int64_t element_bytes(std::string_view storage_class) {
  static const std::unordered_map<std::string_view, std::int64_t> kSizes{
      {"BoolStorage", 1},     {"ByteStorage", 1},          {"CharStorage", 1},         {"ShortStorage", 2},
      {"IntStorage", 4},      {"LongStorage", 8},          {"HalfStorage", 2},         {"BFloat16Storage", 2},
      {"FloatStorage", 4},    {"DoubleStorage", 8},        {"ComplexHalfStorage", 4},  {"ComplexFloatStorage", 8},
      {"ComplexDoubleStorage", 16}, {"UInt16Storage", 2},  {"UInt32Storage", 4},       {"UInt64Storage", 8},
      {"QInt8Storage", 1},    {"QUInt8Storage", 1},        {"QInt32Storage", 4},       {"QUInt4x2Storage", 1},
      {"QUInt2x4Storage", 1}, {"Float8_e5m2Storage", 1},   {"Float8_e4m3fnStorage", 1}};
  const auto found = kSizes.find(storage_class);
  return found == kSizes.end() ? 0 : found->second;
}

bool is_plain_global(std::string_view module, std::string_view name) {
  if (module == "torch.jit._pickle" || module == "torch") return true;
  if (module == "torch._utils") return name == "_rebuild_tensor_v2" || name == "_rebuild_qtensor";
  if (module == "collections") return name == "OrderedDict";
  if (module == "builtins") return name == "complex";
  return module == "__torch__" || module.starts_with("__torch__.");
}

class Scanner {
 public:
  Scanner(const Archive& archive, const std::string& record, std::span<const std::byte> bytes)
      : archive_(archive),
        record_(record),
        folder_(record.substr(0, record.rfind('.')) + "/"),
        text_(reinterpret_cast<const char*>(bytes.data()), bytes.size()) {}

  void scan() {
    while (step()) {
    }
  }

 private:
  [[noreturn]] void damaged(std::string_view what) const {
    throw Error(ErrorCode::kInvalidPackage,
                cat(archive_.path(), ": damaged package: ", record_, " at byte ", at_, ": ", what));
  }
  [[noreturn]] void refused(std::string_view what) const {
    throw Error(ErrorCode::kUntrustedPackage, cat(archive_.path(), ": refused: ", record_, " at byte ", at_, ": ", what));
  }

  std::string_view take(std::uint64_t count) {
    if (text_.size() - at_ < count) damaged("it ends too early");
    const std::string_view bytes = text_.substr(at_, count);
    at_ += count;
    return bytes;
  }
  std::string_view line() {
    const std::size_t end = text_.find('\n', at_);
    if (end == std::string_view::npos) damaged("it ends too early");
    const std::string_view bytes = take(end - at_);
    ++at_;
    return bytes;
  }
  std::uint64_t number(std::uint64_t count) {
    std::uint64_t value = 0;
    std::uint64_t shift = 0;
    for (const char c : take(count)) {
      value |= static_cast<std::uint64_t>(static_cast<unsigned char>(c)) << shift;
      shift += 8;
    }
    return value;
  }

  void push(Value value) {
    // A mark and the five parts of a storage's tuple are all that is ever looked back at.
    if (recent_.size() == 6) recent_.pop_front();
    recent_.push_back(value);
  }
  void push_other() { push({}); }

  /// False at the end. Opcodes: https://github.com/python/cpython/blob/3.11/Lib/pickletools.py
  bool step() {
    const char opcode = take(1).front();
    switch (opcode) {
      case '.': return false;                                      // STOP
      case '\x80': take(1); return true;                           // PROTO
      case 'q': remember(number(1)); return true;                  // BINPUT
      case 'r': remember(number(4)); return true;                  // LONG_BINPUT
      case 'h': push(remembered(number(1))); return true;          // BINGET
      case 'j': push(remembered(number(4))); return true;          // LONG_BINGET
      case '(': push({.kind = Value::Kind::kMark}); return true;   // MARK
      case 'K': push_int(static_cast<std::int64_t>(number(1))); return true;                              // BININT1
      case 'M': push_int(static_cast<std::int64_t>(number(2))); return true;                              // BININT2
      case 'J': push_int(static_cast<std::int32_t>(static_cast<std::uint32_t>(number(4)))); return true;  // BININT
      case '\x8a':                                                                                        // LONG1
        if (number(1) != 8) refused("an integer that is not of 8 bytes");
        push_int(static_cast<std::int64_t>(number(8)));
        return true;
      case 'X': push({.kind = Value::Kind::kString, .text = take(number(4))}); return true;  // BINUNICODE
      case 'G': take(8); push_other(); return true;                                          // BINFLOAT
      case 'c': global(); return true;                                                       // GLOBAL
      case 't': tuple(); return true;                                                        // TUPLE
      case 'Q': storage(); return true;                                                      // BINPERSID
      case ')': case ']': case '}': case 'N': case '\x88': case '\x89':  // empty containers, None, booleans
      case '\x85': case '\x86': case '\x87':                             // TUPLE1, TUPLE2, TUPLE3
      case 'a': case 'e': case 's': case 'u': case '\x81': case 'b': case 'R':  // fill, NEWOBJ, BUILD, REDUCE
        push_other();
        return true;
      default: refused(cat("the pickle opcode ", static_cast<int>(static_cast<unsigned char>(opcode)),
                           ", which TorchScript does not write"));
    }
  }

  void push_int(std::int64_t value) { push({.kind = Value::Kind::kInt, .number = value}); }
  Value top() const { return recent_.empty() ? Value{} : recent_.back(); }
  void remember(std::uint64_t key) {
    // LibTorch makes its memo as long as the key asks for.
    if (key > memo_.size()) refused(cat("the memo ", key, ", where ", memo_.size(), " would be next"));
    if (key == memo_.size()) memo_.emplace_back();
    // A mark is no value: LibTorch remembers what lies below it, which is not known here.
    memo_[key] = top().kind == Value::Kind::kMark ? Value{} : top();
  }
  Value remembered(std::uint64_t key) const {
    if (key >= memo_.size()) damaged(cat("there is no memo ", key));
    return memo_[key];
  }

  void global() {
    const std::string_view module = line();
    const std::string_view name = line();
    const std::string full = cat(module, ".", name);
    if (full.starts_with("__torch__.torch.classes.")) {
      refused(cat("an object of ", quoted(full), ", a class bound from C++; only tensors, numbers, strings, lists, "
                  "dicts and the model's own classes are read (save quantized modules before quantizing)"));
    }
    if (!is_plain_global(module, name)) refused(cat("a reference to ", quoted(full), ", which no model needs"));
    push({.kind = Value::Kind::kGlobal, .text = module == "torch" ? name : std::string_view{}});
  }

  /// ("storage", torch.<Class>, key, device, number of elements)
  void tuple() {
    using enum Value::Kind;
    constexpr std::array kKinds{kMark, kString, kGlobal, kString, kString, kInt};
    const auto same = [](const Value& value, Value::Kind kind) { return value.kind == kind; };
    if (recent_.size() == kKinds.size() && recent_[1].text == "storage" &&
        std::equal(recent_.begin(), recent_.end(), kKinds.begin(), same)) {
      check_storage(recent_[2].text, recent_[3].text, recent_[5].number);
      push({.kind = kStorage});
    } else {
      push_other();
    }
  }

  void check_storage(std::string_view storage_class, std::string_view key, std::int64_t elements) const {
    const std::int64_t size = element_bytes(storage_class);
    if (size == 0) refused(cat("a storage of the class ", quoted(storage_class), ", which is none that is read"));
    if (elements == 0) return;
    const ArchiveEntry* entry = archive_.find(folder_ + std::string(key));
    if (entry == nullptr) damaged(cat("the storage ", quoted(key), " has no record ", quoted(folder_ + std::string(key))));
    // torch.jit.trace keeps its example inputs without their data; no method can reach them.
    if (entry->bytes == 0 && folder_ == "traced_inputs/") return;
    if (elements < 0 || static_cast<std::uint64_t>(elements) > entry->bytes / static_cast<std::uint64_t>(size)) {
      refused(cat("the storage ", quoted(key), " claims ", elements, " elements of ", size, " bytes, and its record has ",
                  entry->bytes, " bytes"));
    }
  }

  void storage() {
    if (top().kind != Value::Kind::kStorage) refused("a storage that is not written out as TorchScript does");
    push_other();
  }

  const Archive& archive_;
  const std::string& record_;
  std::string folder_;
  std::string_view text_;
  std::uint64_t at_ = 0;
  std::deque<Value> recent_;
  std::vector<Value> memo_;
};

}  // namespace

void scan_pickle(const Archive& archive, const std::string& record, std::span<const std::byte> bytes) {
  Scanner(archive, record, bytes).scan();
}

}  // namespace portfire
