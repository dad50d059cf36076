// The typed getters: what each accepts, and the error for everything else.
#include "loader/metadata.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "loader/gguf.h"
#include "tests/support/gguf_writer.h"

namespace pumice::test {
namespace {

std::shared_ptr<const GgufFile> open(const GgufWriter& writer) {
  auto file = open_gguf(own_memory("m.gguf", writer.bytes()));
  if (!file) ADD_FAILURE() << file.error().text;
  return file ? *file : nullptr;
}

TEST(Metadata, EveryScalarTypeRoundTrips) {
  GgufWriter writer;
  writer.set("u8", uint8_t(255)).set("i8", int8_t(-128)).set("u16", uint16_t(65'535));
  writer.set("i16", int16_t(-32'768)).set("u32", UINT32_MAX).set("i32", INT32_MIN);
  writer.set("u64", UINT64_MAX).set("i64", int64_t(-1)).set("f32", 1.5f).set("f64", 2.5);
  writer.set("yes", true).set("no", false).set("text", std::string("h\xC3\xA9\n"));
  const auto file = open(writer);
  const Metadata& m = file->metadata();
  EXPECT_EQ(m.entries().size(), 13u);
  EXPECT_EQ(m.entries()[2].key, "u16");
  EXPECT_EQ(m.get_u32("u8").value(), 255u);
  EXPECT_EQ(m.get_i32("i8").value(), -128);
  EXPECT_EQ(m.get_u32("u16").value(), 65'535u);
  EXPECT_EQ(m.get_i32("i16").value(), -32'768);
  EXPECT_EQ(m.get_u32("u32").value(), UINT32_MAX);
  EXPECT_EQ(m.get_i32("i32").value(), INT32_MIN);
  EXPECT_EQ(m.get_u64("u64").value(), UINT64_MAX);
  EXPECT_EQ(m.get_i32("i64").value(), -1);
  EXPECT_EQ(m.get_f32("f32").value(), 1.5f);
  EXPECT_EQ(m.get_f32("f64").value(), 2.5f);
  EXPECT_TRUE(m.get_bool("yes").value());
  EXPECT_FALSE(m.get_bool("no").value());
  EXPECT_EQ(m.get_string("text").value(), "h\xC3\xA9\n");
  EXPECT_EQ(value_text(*m.find("text")), "h\xC3\xA9\\x0a");
  EXPECT_EQ(value_text(*m.find("i32")), "-2147483648");
  EXPECT_EQ(value_text(*m.find("f32")), "1.5");
}

TEST(Metadata, ArraysAreViewsOfTheirType) {
  GgufWriter writer;
  writer.set("odd", uint8_t(1));  // what follows is not aligned in the file
  writer.set_array("f32", std::vector<float>{1, -2, 3});
  writer.set_array("i32", std::vector<int32_t>{-1, 2});
  writer.set_array("u32", std::vector<uint32_t>{7});
  writer.set_array("u8", std::vector<uint8_t>{1, 2});
  writer.set_array("flags", std::vector<bool>{true, false});
  writer.set_array("texts", std::vector<std::string>{"a", "", "ccc"});
  writer.set_array("none", std::vector<float>{});
  const auto bytes = writer.bytes();
  const auto file = open_gguf(borrow_memory("m.gguf", bytes)).value();
  const Metadata& m = file->metadata();
  const auto f32 = m.get_f32s("f32").value();
  EXPECT_EQ(std::vector(f32.begin(), f32.end()), (std::vector<float>{1, -2, 3}));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(f32.data()) % alignof(float), 0u);
  EXPECT_EQ(m.get_i32s("i32").value()[0], -1);
  EXPECT_EQ(m.get_u32s("u32").value()[0], 7u);
  EXPECT_EQ(m.get_u8s("u8").value()[1], 2u);
  EXPECT_EQ(m.get_flags("flags").value()[0], 1u);
  EXPECT_TRUE(m.get_f32s("none").value().empty());
  const auto texts = m.get_strings("texts").value();
  ASSERT_EQ(texts.size(), 3u);
  EXPECT_EQ(texts[1], "");
  EXPECT_EQ(texts[2], "ccc");
  const auto* first = reinterpret_cast<const char*>(bytes.data());
  EXPECT_TRUE(texts[2].data() >= first && texts[2].data() < first + bytes.size()) << "not a view";
  EXPECT_EQ(value_text(*m.find("texts")), "3 x string [\"a\", \"\", \"ccc\"]");
  EXPECT_EQ(value_text(*m.find("flags")), "2 x bool [true, false]");
}

/// A getter called on a value that it must refuse.
struct GetterRow {
  const char* name;
  std::function<void(GgufWriter&)> set;  ///< sets key k
  std::function<std::optional<Error>(const Metadata&)> get;
  ErrorCode code;
  const char* word;
};

template <class T>
std::optional<Error> error_of(const Result<T>& result) {
  return result ? std::nullopt : std::optional(result.error());
}

const float kNan = std::numeric_limits<float>::quiet_NaN();
const float kInf = std::numeric_limits<float>::infinity();
constexpr auto kBad = ErrorCode::BadFile;

// clang-format off
const auto u32 = [](const Metadata& m) { return error_of(m.get_u32("k")); };
const auto layers = [](const Metadata& m) { return error_of(m.get_u32("k", 1, 512)); };
const auto u32_or = [](const Metadata& m) { return error_of(m.get_u32_or("k", 5, 1, 9)); };
const auto i32 = [](const Metadata& m) { return error_of(m.get_i32("k")); };
const auto u64 = [](const Metadata& m) { return error_of(m.get_u64("k")); };
const auto f32 = [](const Metadata& m) { return error_of(m.get_f32("k", 0.0f, 1.0f)); };
const auto any_f32 = [](const Metadata& m) { return error_of(m.get_f32("k")); };
const auto flag = [](const Metadata& m) { return error_of(m.get_bool("k")); };
const auto flag_or = [](const Metadata& m) { return error_of(m.get_bool_or("k", true)); };
const auto text = [](const Metadata& m) { return error_of(m.get_string("k")); };
const auto text_or = [](const Metadata& m) { return error_of(m.get_string_or("k", "x")); };
const auto strings = [](const Metadata& m) { return error_of(m.get_strings("k")); };
const auto f32s = [](const Metadata& m) { return error_of(m.get_f32s("k")); };
const auto i32s = [](const Metadata& m) { return error_of(m.get_i32s("k")); };
const auto flags = [](const Metadata& m) { return error_of(m.get_flags("k")); };
const auto per_layer = [](const Metadata& m) { return error_of(m.get_u32_per_layer("k", 3, 1, 8)); };

const GetterRow kRefused[] = {
    {"absent u32", [](auto&) {}, u32, ErrorCode::NotFound, "key k is missing"},
    {"absent string", [](auto&) {}, text, ErrorCode::NotFound, "key k is missing"},
    {"absent strings", [](auto&) {}, strings, ErrorCode::NotFound, "key k is missing"},
    {"absent per layer", [](auto&) {}, per_layer, ErrorCode::NotFound, "key k is missing"},
    {"f32 for u32", [](auto& w) { w.set("k", 1.0f); }, u32, kBad, "has type f32, expected an integer"},
    {"string for u32", [](auto& w) { w.set("k", std::string("1")); }, u32, kBad, "has type string"},
    {"bool for u32", [](auto& w) { w.set("k", true); }, u32, kBad, "has type bool"},
    {"array for u32", [](auto& w) { w.set_array("k", std::vector<uint32_t>{1}); }, u32, kBad, "has type array of u32"},
    {"negative for u32", [](auto& w) { w.set("k", int32_t(-1)); }, u32, kBad, "is -1, expected 0..4294967295"},
    {"2^32 for u32", [](auto& w) { w.set("k", uint64_t(1) << 32); }, u32, kBad, "is 4294967296"},
    {"0 layers", [](auto& w) { w.set("k", uint32_t(0)); }, layers, kBad, "is 0, expected 1..512"},
    {"513 layers", [](auto& w) { w.set("k", uint32_t(513)); }, layers, kBad, "is 513, expected 1..512"},
    {"2^31 layers", [](auto& w) { w.set("k", 1u << 31); }, layers, kBad, "expected 1..512"},
    {"optional out of range", [](auto& w) { w.set("k", uint32_t(0)); }, u32_or, kBad, "expected 1..9"},
    {"2^31 for i32", [](auto& w) { w.set("k", 1u << 31); }, i32, kBad, "is 2147483648"},
    {"negative for u64", [](auto& w) { w.set("k", int64_t(-5)); }, u64, kBad, "is -5"},
    {"u32 for f32", [](auto& w) { w.set("k", uint32_t(1)); }, any_f32, kBad, "has type u32, expected f32"},
    {"NaN", [](auto& w) { w.set("k", kNan); }, any_f32, kBad, "finite number"},
    {"infinity", [](auto& w) { w.set("k", kInf); }, any_f32, kBad, "finite number"},
    {"-infinity", [](auto& w) { w.set("k", -kInf); }, any_f32, kBad, "finite number"},
    {"f64 beyond f32", [](auto& w) { w.set("k", 1e300); }, any_f32, kBad, "finite number"},
    {"f32 below range", [](auto& w) { w.set("k", -0.5f); }, f32, kBad, "in 0..1"},
    {"f32 above range", [](auto& w) { w.set("k", 1.5f); }, f32, kBad, "in 0..1"},
    {"u8 for bool", [](auto& w) { w.set("k", uint8_t(1)); }, flag, kBad, "has type u8, expected bool"},
    {"optional bool of wrong type", [](auto& w) { w.set("k", 1.0f); }, flag_or, kBad, "expected bool"},
    {"u32 for string", [](auto& w) { w.set("k", uint32_t(1)); }, text, kBad, "expected string"},
    {"optional string of wrong type", [](auto& w) { w.set("k", 1.0f); }, text_or, kBad, "expected string"},
    {"string for strings", [](auto& w) { w.set("k", std::string("a")); }, strings, kBad, "expected array of string"},
    {"numbers for strings", [](auto& w) { w.set_array("k", std::vector<float>{1}); }, strings, kBad, "has type array of f32"},
    {"u8 scores", [](auto& w) { w.set_array("k", std::vector<uint8_t>{1}); }, f32s, kBad, "has type array of u8, expected array of f32"},
    {"i32 scores", [](auto& w) { w.set_array("k", std::vector<int32_t>{1}); }, f32s, kBad, "expected array of f32"},
    {"NaN score", [](auto& w) { w.set_array("k", std::vector<float>{0, kNan}); }, f32s, kBad, "element 1 of key k"},
    {"f32 token types", [](auto& w) { w.set_array("k", std::vector<float>{1}); }, i32s, kBad, "expected array of i32"},
    {"u32 for i32s", [](auto& w) { w.set_array("k", std::vector<uint32_t>{1}); }, i32s, kBad, "expected array of i32"},
    {"u8 flags", [](auto& w) { w.set_array("k", std::vector<uint8_t>{1}); }, flags, kBad, "expected array of bool"},
    {"per layer too short", [](auto& w) { w.set_array("k", std::vector<uint32_t>{1, 2}); }, per_layer, kBad, "has 2 elements, expected one per layer, 3"},
    {"per layer too long", [](auto& w) { w.set_array("k", std::vector<uint32_t>(4, 1)); }, per_layer, kBad, "has 4 elements"},
    {"per layer 0", [](auto& w) { w.set_array("k", std::vector<int32_t>{1, 0, 1}); }, per_layer, kBad, "is 0 for layer 1, expected 1..8"},
    {"per layer negative", [](auto& w) { w.set_array("k", std::vector<int32_t>{1, 1, -1}); }, per_layer, kBad, "is -1 for layer 2"},
    {"per layer floats", [](auto& w) { w.set_array("k", std::vector<float>{1, 1, 1}); }, per_layer, kBad, "has type array of f32"},
    {"per layer strings", [](auto& w) { w.set_array("k", std::vector<std::string>(3, "1")); }, per_layer, kBad, "has type array of string"},
    {"per layer scalar out of range", [](auto& w) { w.set("k", uint32_t(9)); }, per_layer, kBad, "is 9 for layer 0"},
};
// clang-format on

TEST(Metadata, GettersRefuseInWords) {
  for (const GetterRow& row : kRefused) {
    SCOPED_TRACE(row.name);
    GgufWriter writer;
    writer.set("a", uint32_t(1)).set("z", uint32_t(1));
    row.set(writer);
    const auto file = open(writer);
    ASSERT_NE(file, nullptr);
    const auto error = row.get(file->metadata());
    ASSERT_TRUE(error.has_value()) << "was accepted";
    EXPECT_EQ(int(error->code), int(row.code)) << error->text;
    EXPECT_NE(error->text.find(row.word), std::string::npos) << error->text;
    EXPECT_TRUE(error->text.starts_with("m.gguf: ")) << error->text;
  }
}

TEST(Metadata, FallbacksAndPerLayerValues) {
  GgufWriter writer;
  writer.set("all", uint16_t(4)).set_array("each", std::vector<int64_t>{1, 2, 3});
  writer.set_array("bools", std::vector<bool>{true, false, true}).set("denormal", 1e-40f);
  const auto file = open(writer);
  const Metadata& m = file->metadata();
  using Values = std::vector<uint32_t>;
  EXPECT_EQ(m.get_u32_per_layer("all", 3).value(), (Values{4, 4, 4}));
  EXPECT_EQ(m.get_u32_per_layer("each", 3).value(), (Values{1, 2, 3}));
  EXPECT_EQ(m.get_u32_per_layer("bools", 3).value(), (Values{1, 0, 1}));
  EXPECT_EQ(m.get_u32_or("none", 77, 0, 9).value(), 77u);
  EXPECT_EQ(m.get_f32_or("none", 0.5f).value(), 0.5f);
  EXPECT_TRUE(m.get_bool_or("none", true).value());
  EXPECT_EQ(m.get_string_or("none", "x").value(), "x");
  EXPECT_EQ(m.get_f32("denormal").value(), 1e-40f);
  EXPECT_TRUE(m.contains("all"));
  EXPECT_FALSE(m.contains("al"));
  EXPECT_FALSE(m.contains(""));
}

}  // namespace
}  // namespace pumice::test
