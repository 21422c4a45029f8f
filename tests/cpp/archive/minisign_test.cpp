// The fixtures in tests/data/signatures were made by minisign 0.11: model.minisig as it signs today, legacy.minisig with -l.
#include "archive/minisign.h"

#include <gmock/gmock.h>

#include "core/file.h"
#include "expect_error.h"
#include "raw_zip.h"

namespace portfire::minisign {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string text_of(const std::string& name) { return test::text_of(read_file(PORTFIRE_TEST_DATA "/signatures/" + name)); }
PublicKey key_of(const std::string& name) { return parse_public_key(text_of(name), name); }

std::string judge(const std::string& message, const std::string& signature, const std::vector<PublicKey>& keys) {
  return why_not_signed(std::as_bytes(std::span(message)), signature, keys);
}

const std::string kMessage = text_of("message.txt");

TEST(Minisign, TakesWhatMinisignSigned) {
  for (const char* name : {"model.minisig", "legacy.minisig"}) {
    EXPECT_EQ(judge(kMessage, text_of(name), {key_of("author.pub")}), "");
    EXPECT_EQ(judge(kMessage, text_of(name), {key_of("other.pub"), key_of("author.pub")}), "");
  }
}

TEST(Minisign, ReadsAKeyFromItsFileOrItsLine) {
  const std::string file = text_of("author.pub");
  EXPECT_EQ(key_of("author.pub").id_text(), "DB697A99372E7035");
  const std::string line = file.substr(file.find('\n') + 1);
  EXPECT_EQ(parse_public_key(line, "k").id_text(), "DB697A99372E7035");
  EXPECT_EQ(parse_public_key(line.substr(0, line.size() - 1) + "\r\n", "k").id_text(), "DB697A99372E7035");
}

TEST(Minisign, RefusesWhatIsNoKey) {
  for (const std::string& text : {std::string(), std::string("\n"), std::string("RWQ"), text_of("model.minisig"), text_of("author.pub").substr(0, 60),
                                  std::string(56, '!'), "RU" + std::string(54, 'A')}) {
    test::expect_error([&] { (void)parse_public_key(text, "k.pub"); }, ErrorCode::kInvalidArgument, "\"k.pub\" is no public key of minisign");
  }
}

TEST(Minisign, RefusesAnotherMessageKeyOrComment) {
  for (const char* name : {"model.minisig", "legacy.minisig"}) {
    const std::string signature = text_of(name);
    EXPECT_EQ(judge(kMessage + "!", signature, {key_of("author.pub")}), "was made for another file");
    EXPECT_EQ(judge("", signature, {key_of("author.pub")}), "was made for another file");
    EXPECT_EQ(judge(kMessage, signature, {key_of("other.pub")}), "was made by the key DB697A99372E7035, which is not trusted");
    EXPECT_EQ(judge(kMessage, signature, {}), "was made by the key DB697A99372E7035, which is not trusted");
    PublicKey forged = key_of("other.pub");
    forged.id = key_of("author.pub").id;
    EXPECT_EQ(judge(kMessage, signature, {forged}), "was made for another file");
    std::string comment = signature;
    comment.insert(comment.find("trusted comment: made") == std::string::npos ? comment.rfind("legacy") : comment.find("made at"), "not ");
    EXPECT_EQ(judge(kMessage, comment, {key_of("author.pub")}), "has another trusted comment than was signed");
  }
}

TEST(Minisign, EveryByteOfASignatureCounts) {
  const std::string signature = text_of("model.minisig");
  const std::size_t begin = signature.find('\n') + 1;
  for (std::size_t k = begin; k + 1 < signature.size(); ++k) {
    std::string changed = signature;
    changed[k] = changed[k] == 'A' ? 'B' : 'A';
    if (signature[k] == '=' || signature[k + 1] == '=' || signature[k + 2] == '=') continue;  // bits that base64 leaves over
    EXPECT_NE(judge(kMessage, changed, {key_of("author.pub")}), "") << k;
  }
  for (std::size_t size = 0; size + 1 < signature.size(); ++size) EXPECT_NE(judge(kMessage, signature.substr(0, size), {key_of("author.pub")}), "") << size;
}

}  // namespace
}  // namespace portfire::minisign
