// What is written is what the reader reads: keys, shapes, bytes, padding; and what cannot be
// written.
#include "loader/gguf_writer.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "loader/gguf.h"
#include "tests/support/folder_test.h"
#include "tests/support/gguf_writer.h"

namespace pumice::test {
namespace {

namespace fs = std::filesystem;
using Writer = pumice::GgufWriter;

class GgufWriting : public FolderTest {
 protected:
  /// All bytes of all tensors, counting up.
  static std::vector<std::byte> counting(size_t n) {
    std::vector<std::byte> out(n);
    for (size_t i = 0; i < n; ++i) out[i] = std::byte(i * 7 % 251);
    return out;
  }
  [[nodiscard]] bool nothing_there() const { return fs::is_empty(folder); }

  const std::string path = (folder / "out.gguf").string();
};

std::vector<GgufTensorPlan> three_tensors() {
  return {{"a", QuantType::F16, {3}},            // 6 bytes
          {"b", QuantType::Q4_0, {64, 2}},       // 72 bytes
          {"c", QuantType::Q4_K, {256, 1, 2}}};  // 288 bytes
}

TEST_F(GgufWriting, ReadsBackWhateverThePiecesWere) {
  for (const uint32_t alignment : {32u, 64u, 1u, 4096u}) {
    for (const size_t piece : {size_t(1), size_t(5), size_t(77), size_t(1000)}) {
      MetadataDraft draft;
      draft.set_string("general.architecture", "none");
      if (alignment != 32) draft.set_u32("general.alignment", alignment);
      auto writer = Writer::create(path, draft, three_tensors());
      ASSERT_TRUE(writer) << writer.error().text;
      const auto bytes = counting(6 + 72 + 288);
      for (size_t at = 0; at < bytes.size(); at += piece)
        ASSERT_TRUE(
            (*writer)->write(std::span(bytes).subspan(at, std::min(piece, bytes.size() - at))));
      const uint64_t promised = (*writer)->file_bytes();
      ASSERT_TRUE((*writer)->finish());
      EXPECT_EQ(fs::file_size(path), promised);

      const auto file = open_gguf(path);
      ASSERT_TRUE(file) << file.error().text;
      EXPECT_EQ((*file)->version(), 3u);
      std::vector<std::byte> back;
      for (const TensorInfo& tensor : (*file)->tensors()) {
        EXPECT_EQ(tensor.file_offset % alignment, 0u);
        back.insert(back.end(), tensor.data.begin(), tensor.data.end());
      }
      EXPECT_TRUE(back == bytes);
      EXPECT_EQ((*file)->find_tensor("c")->n_dims, 3u);
    }
  }
}

/// A file with a key of every type.
test::GgufWriter every_type() {
  test::GgufWriter file;
  file.set("u8", uint8_t(250)).set("i8", int8_t(-3)).set("u16", uint16_t(65'000));
  file.set("i16", int16_t(-300)).set("u32", uint32_t(4'000'000'000)).set("i32", int32_t(-70'000));
  file.set("u64", uint64_t(1) << 60).set("i64", int64_t(-(int64_t(1) << 50)));
  file.set("f32", 0.1f).set("f64", 0.1).set("yes", true).set("no", false);
  file.set("text", std::string("caf\xc3\xa9\n\0x", 8)).set("empty", std::string());
  file.set_array("strings", std::vector<std::string>{"a", "", "ccc"});
  file.set_array("bools", std::vector<bool>{true, false, true});
  file.set_array("u8s", std::vector<uint8_t>{1, 2, 255});
  file.set_array("i16s", std::vector<int16_t>{-1, 2});
  file.set_array("f32s", std::vector<float>{0.5f, -0.0f});
  file.set_array("f64s", std::vector<double>{1e300});
  file.set_array("i64s", std::vector<int64_t>{-1});
  file.set_array("none", std::vector<uint32_t>{});
  return file;
}

TEST_F(GgufWriting, EveryKindOfKeySurvivesACopy) {
  auto source = every_type();
  source.set("split.no", uint16_t(0)).set("split.count", uint16_t(1));
  source.set("split.tensors.count", int32_t(0));
  const auto original = source.bytes();
  const auto file = open_gguf(borrow_memory("source", original));
  ASSERT_TRUE(file) << file.error().text;
  auto writer = Writer::create(path, (*file)->metadata(), {});
  ASSERT_TRUE(writer) << writer.error().text;
  ASSERT_TRUE((*writer)->finish());
  std::ifstream in(path, std::ios::binary);
  const std::string back((std::istreambuf_iterator<char>(in)), {});
  const auto expected = every_type().bytes();
  const std::string plain(reinterpret_cast<const char*>(expected.data()), expected.size());
  EXPECT_EQ(back.substr(0, plain.size()), plain) << "without the keys of a split file";
}

TEST_F(GgufWriting, DraftsAreEdited) {
  const auto original = every_type().bytes();
  const auto file = open_gguf(borrow_memory("source", original));
  ASSERT_TRUE(file);
  MetadataDraft draft((*file)->metadata());
  draft.set_string("u8", "now a text");
  draft.remove("text");
  draft.remove("absent");
  draft.set_u32("new", 7);
  draft.set_f32("new.f32", 2.5f);
  draft.set_bool("new.bool", true);
  draft.set_u64("new.u64", uint64_t(1) << 40);
  draft.set_i32s("new.i32s", std::vector<int32_t>{-1, 5});
  draft.set_u32s("new.u32s", std::vector<uint32_t>{9});
  draft.set_f32s("new.f32s", std::vector<float>{1.5f});
  draft.set_strings("new.strings", std::vector<std::string>{"x", "yz"});
  auto writer = Writer::create(path, draft, {});
  ASSERT_TRUE(writer && (*writer)->finish());
  const auto read = open_gguf(path);
  ASSERT_TRUE(read) << read.error().text;
  const Metadata& keys = (*read)->metadata();
  EXPECT_EQ(keys.entries()[0].key, "u8") << "it keeps its place";
  EXPECT_EQ(*keys.get_string("u8"), "now a text");
  EXPECT_FALSE(keys.contains("text"));
  EXPECT_EQ(*keys.get_u32("new"), 7u);
  EXPECT_EQ(*keys.get_f32("new.f32"), 2.5f);
  EXPECT_TRUE(*keys.get_bool("new.bool"));
  EXPECT_EQ(*keys.get_u64("new.u64"), uint64_t(1) << 40);
  EXPECT_EQ((*keys.get_i32s("new.i32s"))[1], 5);
  EXPECT_EQ((*keys.get_u32s("new.u32s"))[0], 9u);
  EXPECT_EQ((*keys.get_f32s("new.f32s"))[0], 1.5f);
  EXPECT_EQ((*keys.get_strings("new.strings"))[1], "yz");
}

TEST_F(GgufWriting, WhatTheFormatCannotHoldIsRefused) {
  struct Row {
    const char* says;
    std::vector<GgufTensorPlan> tensors;
  };
  const std::string long_name(64, 'n');
  const Row rows[] = {
      {"whose blocks hold 32", {{"t", QuantType::Q4_0, {48}}}},
      {"shape", {{"t", QuantType::F32, {}}}},
      {"shape", {{"t", QuantType::F32, {0}}}},
      {"shape", {{"t", QuantType::F32, {1, 1, 1, 1, 1}}}},
      {"shape", {{"t", QuantType::F32, {uint64_t(1) << 40, uint64_t(1) << 40}}}},
      {"too large", {{"t", QuantType::F32, {uint64_t(1) << 63}}}},
      {"64 bits",
       {{"t", QuantType::F32, {uint64_t(1) << 61}}, {"u", QuantType::F32, {uint64_t(1) << 61}}}},
      {"name", {{"", QuantType::F32, {1}}}},
      {"name", {{long_name, QuantType::F32, {1}}}},
      {"name", {{"t\n", QuantType::F32, {1}}}},
      {"once", {{"t", QuantType::F32, {1}}, {"t", QuantType::F32, {1}}}},
      {"free", {{"t", QuantType::F32, {uint64_t(1) << 50}}}},
  };
  for (const Row& row : rows) {
    const auto writer = Writer::create(path, MetadataDraft(), row.tensors);
    ASSERT_FALSE(writer) << row.says;
    EXPECT_NE(writer.error().text.find(row.says), std::string::npos) << writer.error().text;
    EXPECT_TRUE(nothing_there()) << row.says;
  }
  MetadataDraft draft;
  draft.set_u32("general.alignment", 48);
  EXPECT_FALSE(Writer::create(path, draft, {}));
  draft.set_u32("general.alignment", 8192);
  EXPECT_FALSE(Writer::create(path, draft, {}));
  draft.set_string("general.alignment", "32");
  EXPECT_FALSE(Writer::create(path, draft, {}));
  MetadataDraft nameless;
  nameless.set_u32("", 1);
  EXPECT_FALSE(Writer::create(path, nameless, {}));
  EXPECT_TRUE(nothing_there());
}

TEST_F(GgufWriting, TooFewAndTooManyBytesLeaveNothing) {
  {
    auto writer = Writer::create(path, MetadataDraft(), three_tensors());
    ASSERT_TRUE(writer && (*writer)->write(counting(100)));
    const auto finished = (*writer)->finish();
    ASSERT_FALSE(finished);
    EXPECT_NE(finished.error().text.find("tensor c"), std::string::npos) << finished.error().text;
  }
  {
    auto writer = Writer::create(path, MetadataDraft(), three_tensors());
    ASSERT_TRUE(writer);
    EXPECT_FALSE((*writer)->write(counting(367)));
  }
  EXPECT_TRUE(nothing_there());
}

}  // namespace
}  // namespace pumice::test
