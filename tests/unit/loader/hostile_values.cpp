// The corpus: keys and values (K) and alignment (A).
#include <fmt/format.h>

#include "hostile.h"
#include "tests/support/gguf_writer.h"

namespace pumice::test {
namespace {

constexpr auto kBad = ErrorCode::BadFile;
constexpr uint32_t kU8 = 0, kU32 = 4, kBool = 7, kString = 8, kArray = 9;

std::vector<std::byte> one_key(std::string_view key, uint32_t type, const Bytes& body,
                               std::optional<uint64_t> key_length = {}) {
  return GgufWriter().set_raw(key, type, body, key_length).bytes();
}

Bytes array_head(uint32_t element, uint64_t count) {
  return Bytes().put(element).put(count);
}

void add_keys(std::vector<HostileFile>& out) {
  const Bytes value = Bytes().put(uint32_t(1));
  out.push_back({"K key empty", one_key("", kU32, value), kBad, "a key is empty"});
  const uint64_t remaining = 3 + 4 + 4;
  for (const uint64_t length : {remaining + 1, uint64_t(65'536), uint64_t(1) << 32,
                                uint64_t(1) << 63, UINT64_MAX - 7, UINT64_MAX})
    out.push_back({fmt::format("K key length {}", length), one_key("abc", kU32, value, length),
                   kBad, "are left"});
  const auto long_key = [&](size_t n) { return one_key(std::string(n, 'k'), kU32, value); };
  out.push_back({"K key of 65535 bytes", long_key(65'535), {}, ""});
  out.push_back({"K key of 65536 bytes", long_key(65'536), kBad, "more than the limit of 65535"});
  using namespace std::string_view_literals;
  for (const auto key : {"a\0b"sv, "a\nb"sv, "\x1b[31m"sv, "a\x7f"sv, "\xff"sv, "\xc0\x80"sv,
                         "\xed\xa0\x80"sv, "\xf4\x90\x80\x80"sv, "ab\xe2\x82"sv, "\xc2\x85"sv})
    out.push_back({fmt::format("K key with byte {:02x}", uint8_t(key[key.size() / 2])),
                   one_key(key, kU32, value), kBad, "not UTF-8"});
  out.push_back({"K key in Greek", one_key("κλειδί", kU32, value), {}, ""});
  GgufWriter twice;
  twice.set("a", uint32_t(1)).set("b", uint32_t(1)).set("a", uint32_t(1));
  out.push_back({"K key twice", twice.bytes(), kBad, "key a appears twice"});
  GgufWriter cases;
  cases.set("a", uint32_t(1)).set("A", uint32_t(1));
  out.push_back({"K key twice after case folding is two keys", cases.bytes(), {}, ""});
}

void add_types(std::vector<HostileFile>& out) {
  const Bytes value = Bytes().put(uint64_t(1)).put(uint64_t(0));
  for (const uint32_t type : {13u, 14u, 255u, 1u << 31, 0xFFFFFFFFu})
    out.push_back({fmt::format("K value type {}", type), one_key("a", type, value), kBad,
                   fmt::format("value type {}", type)});
  for (const uint32_t type : {13u, 1u << 31, 0xFFFFFFFFu})
    out.push_back({fmt::format("K element type {}", type),
                   one_key("a", kArray, array_head(type, 1).put(uint64_t(0))), kBad,
                   fmt::format("value type {}", type)});
  for (const uint32_t depth : {1u, 2u, 100'000u}) {
    Bytes nested;
    for (uint32_t i = 0; i < depth; ++i) nested.put(kArray).put(uint64_t(1));
    nested.put(kU8).put(uint64_t(1)).put(uint8_t(0));
    out.push_back({fmt::format("K arrays nested {} deep", depth), one_key("a", kArray, nested),
                   kBad, "array of arrays"});
  }
  for (const uint32_t flag : {2u, 3u, 128u, 255u}) {
    out.push_back({fmt::format("K bool {}", flag), one_key("a", kBool, Bytes().put(uint8_t(flag))),
                   kBad, fmt::format("the bool {}", flag)});
    const Bytes flags = array_head(kBool, 2).put(uint8_t(1)).put(uint8_t(flag));
    out.push_back({fmt::format("K array with bool {}", flag), one_key("a", kArray, flags), kBad,
                   fmt::format("the bool {}", flag)});
  }
}

void add_arrays(std::vector<HostileFile>& out) {
  for (uint32_t element = 0; element <= 12; ++element) {
    if (element == kArray) continue;
    const auto name = metadata_type_name(MetadataType(element));
    const auto row = [&](uint64_t count, std::optional<ErrorCode> code, std::string_view word) {
      out.push_back({fmt::format("K {} elements of {}", count, name),
                     one_key("a", kArray, array_head(element, count)), code, std::string(word)});
    };
    row(0, {}, "");
    row(1, kBad, "1 elements, but only 0 bytes");
    row(16u << 20, kBad, "but only 0 bytes");
    for (const uint64_t count : {uint64_t(1) << 30, uint64_t(1) << 61, (uint64_t(1) << 62) + 1,
                                 uint64_t(1) << 63, UINT64_MAX})
      row(count, kBad, "more than the limit of 16777216");
  }
}

void add_strings(std::vector<HostileFile>& out) {
  for (const uint64_t length : {uint64_t(4), uint64_t(1) << 30, uint64_t(1) << 32,
                                uint64_t(1) << 63, UINT64_MAX - 8, UINT64_MAX}) {
    out.push_back({fmt::format("K string length {}", length),
                   one_key("a", kString, Bytes().text("abc", length)), kBad, "only 3 are left"});
    out.push_back({fmt::format("K string element of length {}", length),
                   one_key("a", kArray, array_head(kString, 2).text("x").text("abc", length)), kBad,
                   "element 1"});
  }
  out.push_back({"K strings cut inside a length",
                 one_key("a", kArray, array_head(kString, 2).text("abc").raw("1234567")), kBad,
                 "ends inside key a"});
  const std::string most((16u << 20) + 1, 'x');
  out.push_back(
      {"K string of 16 MiB", one_key("a", kString, Bytes().text(most.substr(1))), {}, ""});
  out.push_back({"K string of 16 MiB and 1", one_key("a", kString, Bytes().text(most)), kBad,
                 "more than the limit of 16777216"});
  out.push_back({"K value is not UTF-8", one_key("a", kString, Bytes().text("\xff\x00z")), {}, ""});
  for (uint32_t type = 0; type <= 12; ++type)
    out.push_back({fmt::format("K no value of type {}", type), one_key("abc", type, Bytes()), kBad,
                   "ends inside key abc"});
}

/// Time: what is quadratic elsewhere.
void add_many(std::vector<HostileFile>& out) {
  GgufWriter keys;
  for (uint32_t i = 0; i < 65'536; ++i) keys.set(fmt::format("key.{}", i), uint8_t(1));
  out.push_back({"K 65536 keys", keys.bytes(), {}, ""});
  keys.set("one.more", uint8_t(1));
  out.push_back({"K 65537 keys", keys.bytes(), kBad, "more than the limit"});
  GgufWriter same;
  for (uint32_t i = 0; i < 65'536; ++i) same.set("key", uint8_t(1));
  out.push_back({"K 65536 equal keys", same.bytes(), kBad, "appears twice"});
  GgufWriter vocabulary;
  vocabulary.set_array("tokens", std::vector<std::string>(1u << 20, "token"));
  out.push_back({"K a million strings", vocabulary.bytes(), {}, ""});
}

template <class T>
void add_alignment(std::vector<HostileFile>& out, T value, uint64_t real,
                   std::optional<ErrorCode> code, std::string word) {
  GgufWriter file;
  file.set("general.alignment", value);
  file.alignment = real;
  file.tensor_zero("a", QuantType::Q4_0, {32, 3}).tensor_zero("b", QuantType::F32, {7});
  out.push_back({fmt::format("A {} of type {}, written with {}", value,
                             metadata_type_name(metadata_type_of<T>()), real),
                 file.bytes(), code, std::move(word)});
}

}  // namespace

void add_hostile_values(std::vector<HostileFile>& out) {
  add_keys(out);
  add_types(out);
  add_arrays(out);
  add_strings(out);
  add_many(out);
  for (const uint32_t value : {1u, 2u, 8u, 64u, 4096u}) add_alignment(out, value, value, {}, "");
  for (const uint32_t value : {0u, 3u, 13u, 24u, 8192u, 1u << 31, 0xFFFFFFFFu})
    add_alignment(out, value, 32, kBad, "a power of two in 1..4096");
  add_alignment(out, int32_t(32), 32, kBad, "has type i32, expected u32");
  add_alignment(out, uint64_t(32), 32, kBad, "has type u64, expected u32");
  add_alignment(out, 32.0f, 32, kBad, "has type f32, expected u32");
  add_alignment(out, std::string("32"), 32, kBad, "has type string, expected u32");
  add_alignment(out, uint32_t(64), 32, kBad, "past the end");
  add_alignment(out, uint32_t(4096), 32, kBad, "multiple of 4096");
}

}  // namespace pumice::test
