// Opening models: versions, parts, sources, and what a GgufFile answers.
#include "loader/gguf.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "loader/gguf_split.h"
#include "loader/mapped_file.h"
#include "loader/printable.h"
#include "tests/support/gguf_writer.h"

namespace pumice::test {
namespace {

namespace fs = std::filesystem;

class Gguf : public testing::Test {
 protected:
  Gguf() : folder_(fs::path(testing::TempDir()) / ("pumice_gguf_" + std::to_string(::getpid()))) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~Gguf() override { fs::remove_all(folder_); }

  [[nodiscard]] std::string path(const std::string& name) const {
    return (folder_ / name).string();
  }

  /// Part `number` of `count`, as the name and the keys say.
  [[nodiscard]] std::string part_path(uint32_t number, uint32_t count) const {
    return split_path({path("m"), number, count}, number);
  }

  fs::path folder_;
};

void expect_error(const Result<std::shared_ptr<const GgufFile>>& result, ErrorCode code,
                  std::string_view word) {
  ASSERT_FALSE(result.has_value()) << "was accepted";
  EXPECT_EQ(int(result.error().code), int(code)) << result.error().text;
  EXPECT_NE(result.error().text.find(word), std::string::npos) << result.error().text;
}

GgufWriter two_tensors() {
  GgufWriter writer;
  writer.set("general.architecture", std::string("llama"));
  const std::vector<float> values{1, 2, 3, 4, 5, 6};
  writer.tensor_f32("b.weight", {3, 2}, values)
      .tensor_zero("a.weight", QuantType::Q8_0, {32, 2, 5});
  return writer;
}

TEST_F(Gguf, VersionsTwoAndThreeAreTheSame) {
  for (const uint32_t version : {2u, 3u}) {
    GgufWriter writer = two_tensors();
    writer.version = version;
    writer.write(path("m.gguf"));
    const auto file = open_gguf(path("m.gguf")).value();
    EXPECT_EQ(file->version(), version);
    EXPECT_EQ(file->name(), path("m.gguf"));
    EXPECT_EQ(file->n_parts(), 1u);
    EXPECT_EQ(file->file_bytes(), fs::file_size(path("m.gguf")));
    EXPECT_EQ(file->tensor_bytes(), 24u + 340u);
    ASSERT_EQ(file->tensors().size(), 2u);
    const TensorInfo* a = file->find_tensor("a.weight");
    ASSERT_NE(a, nullptr);
    EXPECT_EQ(a, &file->tensors()[1]);
    EXPECT_EQ(a->type, QuantType::Q8_0);
    EXPECT_EQ(a->n_dims, 3u);
    EXPECT_EQ(a->n_weights, 320u);
    EXPECT_EQ(a->n_rows(), 10u);
    EXPECT_EQ(a->row_bytes(), 34u);
    EXPECT_EQ(file->find_tensor("c.weight"), nullptr);
    EXPECT_EQ(file->find_tensor(""), nullptr);
  }
}

TEST_F(Gguf, TensorsAreReadFromTheirPlace) {
  const auto file = open_gguf(own_memory("m.gguf", two_tensors().bytes())).value();
  const TensorInfo* b = file->find_tensor("b.weight");
  float last[2];
  std::memcpy(last, b->data.data() + 16, 8);
  EXPECT_EQ(last[1], 6.0f);
  ASSERT_TRUE(file->read(*b, 12, std::as_writable_bytes(std::span(last))));
  EXPECT_EQ(last[0], 4.0f);
  EXPECT_EQ(last[1], 5.0f);
  const auto past = file->read(*b, 20, std::as_writable_bytes(std::span(last)));
  ASSERT_FALSE(past);
  EXPECT_EQ(past.error().code, ErrorCode::BadArgument);
  EXPECT_FALSE(file->read(*b, UINT64_MAX, std::as_writable_bytes(std::span(last))));
}

TEST_F(Gguf, RequireTensorComparesShapes) {
  const auto file = open_gguf(own_memory("m.gguf", two_tensors().bytes())).value();
  EXPECT_TRUE(file->require_tensor("b.weight", {3, 2}));
  EXPECT_TRUE(file->require_tensor("b.weight", {3, 2, 1}));
  const auto transposed = file->require_tensor("b.weight", {2, 3});
  ASSERT_FALSE(transposed);
  EXPECT_EQ(transposed.error().text, "m.gguf: tensor b.weight has shape [3, 2], expected [2, 3]");
  EXPECT_EQ(transposed.error().code, ErrorCode::BadFile);
  EXPECT_FALSE(file->require_tensor("b.weight", {3}));
  EXPECT_FALSE(file->require_tensor("b.weight", {3, 2, 2}));
  EXPECT_FALSE(file->require_tensor("b.weight", std::span<const uint64_t>()));
  const auto missing = file->require_tensor("c", {4});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::NotFound);
  EXPECT_EQ(missing.error().text, "m.gguf: tensor c is missing, expected one of shape [4]");
}

/// A source that cannot map, like an entry of a compressed pak.
class ReadOnlySource final : public ByteSource {
 public:
  explicit ReadOnlySource(std::vector<std::byte> bytes)
      : inner_(own_memory("pak", std::move(bytes))) {}
  [[nodiscard]] const std::string& name() const override { return inner_->name(); }
  [[nodiscard]] uint64_t size() const override { return inner_->size(); }
  [[nodiscard]] Result<void> read(uint64_t offset, std::span<std::byte> into) const override {
    bytes_read += into.size();
    return inner_->read(offset, into);
  }
  [[nodiscard]] Result<std::span<const std::byte>> map() const override {
    return fail(ErrorCode::Unsupported, "pak: cannot map");
  }
  mutable uint64_t bytes_read = 0;

 private:
  std::shared_ptr<const ByteSource> inner_;
};

TEST_F(Gguf, OfSourcesThatOnlyReadTheHeaderIsKept) {
  constexpr uint64_t kWeights = 4u << 20;
  test::GgufWriter writer;
  writer.set("general.architecture", std::string("llama"));
  writer.set("long", std::string(3u << 20, 'x'));  // the first piece that is read ends inside it
  writer.tensor_f32("far.weight", {kWeights}, std::vector<float>(kWeights, 0.5f));
  const auto source = std::make_shared<ReadOnlySource>(writer.bytes());
  const auto file = open_gguf(source);
  ASSERT_TRUE(file) << file.error().text;
  EXPECT_LT(source->bytes_read, 6u << 20);
  const TensorInfo* tensor = (*file)->find_tensor("far.weight");
  ASSERT_NE(tensor, nullptr);
  EXPECT_TRUE(tensor->data.empty());
  float last = 0;
  ASSERT_TRUE(
      (*file)->read(*tensor, (kWeights - 1) * 4, std::as_writable_bytes(std::span(&last, 1))));
  EXPECT_EQ(last, 0.5f);

  std::vector<std::byte> cut = writer.bytes();
  cut.resize(cut.size() - 1);
  expect_error(open_gguf(std::make_shared<ReadOnlySource>(cut)), ErrorCode::BadFile, "truncated");
  EXPECT_FALSE(open_gguf(std::make_shared<ReadOnlySource>(std::vector<std::byte>(5u << 20))));
}

TEST_F(Gguf, SourcesThatOnlyReadCanBeOpened) {
  const auto file = open_gguf(std::make_shared<ReadOnlySource>(two_tensors().bytes())).value();
  EXPECT_NE(file->find_tensor("a.weight"), nullptr);
  EXPECT_EQ(file->name(), "pak");
  expect_error(open_gguf(std::shared_ptr<const ByteSource>()), ErrorCode::BadArgument, "without");
  expect_error(open_gguf(std::vector<std::shared_ptr<const ByteSource>>()), ErrorCode::BadArgument,
               "no parts");
}

TEST_F(Gguf, PathsThatAreNoFiles) {
  expect_error(open_gguf(path("absent.gguf")), ErrorCode::NotFound, "cannot open");
  expect_error(open_gguf(path("absent/m.gguf")), ErrorCode::NotFound, "cannot open");
  expect_error(open_gguf(""), ErrorCode::NotFound, "cannot open");
  expect_error(open_gguf(folder_.string()), ErrorCode::BadArgument, "is a directory");
  expect_error(open_gguf("/dev/null"), ErrorCode::BadArgument, "not a regular file");
  expect_error(open_gguf("/dev/zero"), ErrorCode::BadArgument, "not a regular file");
  expect_error(open_gguf(std::string("a\0b", 3)), ErrorCode::BadArgument, "zero byte");
  std::ofstream(path("empty.gguf")).flush();
  expect_error(open_gguf(path("empty.gguf")), ErrorCode::BadFile, "empty");
  const std::string fifo = path("fifo.gguf");
  ASSERT_EQ(std::system(("mkfifo '" + fifo + "'").c_str()), 0);
  expect_error(open_gguf(fifo), ErrorCode::BadArgument, "not a regular file");
  expect_error(open_gguf(path("new\nline")), ErrorCode::NotFound, "new\\x0aline");
}

TEST_F(Gguf, FileShortenedWhileInUseIsAnError) {
  two_tensors().write(path("m.gguf"));
  const auto file = open_gguf(path("m.gguf")).value();
  const TensorInfo& tensor = file->tensors()[1];
  std::vector<std::byte> into(340);
  ASSERT_TRUE(file->read(tensor, 0, into));
  fs::resize_file(path("m.gguf"), 100);
  const auto result = file->read(tensor, 0, into);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::Io);
  EXPECT_NE(result.error().text.find("changed while in use"), std::string::npos);
}

// ---- split models

GgufWriter part(uint16_t no, uint16_t count, std::optional<int32_t> n_tensors = {}) {
  GgufWriter writer;
  writer.set("split.no", no).set("split.count", count);
  if (n_tensors) writer.set("split.tensors.count", *n_tensors);
  if (no == 0) writer.set("general.architecture", std::string("llama"));
  const std::vector<float> values{float(no), 1};
  writer.tensor_f32("t" + std::to_string(no), {2}, values);
  return writer;
}

TEST_F(Gguf, SplitModelsOpenFromAnyPart) {
  for (uint16_t no = 0; no < 3; ++no) part(no, 3, 3).write(part_path(no + 1u, 3));
  for (uint32_t given = 1; given <= 3; ++given) {
    const auto file = open_gguf(part_path(given, 3)).value();
    EXPECT_EQ(file->n_parts(), 3u);
    EXPECT_EQ(file->name(), part_path(1, 3));
    EXPECT_EQ(file->metadata().get_string("general.architecture").value(), "llama");
    ASSERT_EQ(file->tensors().size(), 3u);
    for (uint32_t i = 0; i < 3; ++i) {
      const TensorInfo* tensor = file->find_tensor("t" + std::to_string(i));
      ASSERT_NE(tensor, nullptr);
      EXPECT_EQ(tensor->part, i);
      float value = -1;
      ASSERT_TRUE(file->read(*tensor, 0, std::as_writable_bytes(std::span(&value, 1))));
      EXPECT_EQ(value, float(i));
    }
  }
}

TEST_F(Gguf, SplitModelsOpenFromMemory) {
  std::vector<std::shared_ptr<const ByteSource>> parts;
  for (uint16_t no = 0; no < 2; ++no)
    parts.push_back(own_memory("part " + std::to_string(no), part(no, 2, 2).bytes()));
  EXPECT_EQ(open_gguf(parts).value()->tensors().size(), 2u);
  expect_error(open_gguf(parts[0]), ErrorCode::BadFile, "split.count is 2, expected 1");
  std::swap(parts[0], parts[1]);
  expect_error(open_gguf(parts), ErrorCode::BadFile, "split.no is 1, expected 0");
}

struct SplitRow {
  const char* name;
  std::vector<GgufWriter> parts;  ///< written as parts 1, 2, ... of parts.size()
  ErrorCode code;
  const char* word;
};

std::vector<SplitRow> split_rows() {
  constexpr auto kBad = ErrorCode::BadFile;
  GgufWriter duplicate = part(1, 2, 2);
  duplicate.tensors[0].name = "t0";
  GgufWriter stranger = part(1, 2, 2);
  stranger.set("general.architecture", std::string("gemma2"));
  GgufWriter not_split = two_tensors();
  GgufWriter float_count = two_tensors();
  float_count.set("split.count", 2.0f).set("split.no", uint16_t(0));
  GgufWriter no_number;
  no_number.set("split.count", uint16_t(2));
  GgufWriter garbage = part(1, 2, 2);
  garbage.magic = "ABCD";
  std::vector<SplitRow> rows;
  rows.push_back({"both say 0", {part(0, 2, 2), part(0, 2, 2)}, kBad, "split.no is 0, expected 1"});
  rows.push_back({"swapped", {part(1, 2, 2), part(0, 2, 2)}, kBad, "split.no is 1, expected 0"});
  rows.push_back({"number past the count", {part(0, 2, 2), part(7, 2, 2)}, kBad, "split.no is 7"});
  rows.push_back({"counts differ", {part(0, 2, 2), part(1, 3, 2)}, kBad, "split.count is 3"});
  rows.push_back({"name and count differ", {part(0, 3, 3), part(1, 3, 3)}, kBad, "-of-00003.gguf"});
  rows.push_back(
      {"count 65535", {part(0, 65535, 2), part(1, 65535, 2)}, kBad, "one of 65535 parts"});
  rows.push_back({"tensor twice", {part(0, 2, 2), duplicate}, kBad, "tensor t0 appears twice"});
  rows.push_back(
      {"too few tensors", {part(0, 2, 3), part(1, 2, 3)}, kBad, "split.tensors.count is 3"});
  rows.push_back({"negative tensors", {part(0, 2, -1), part(1, 2, -1)}, kBad, "is -1"});
  rows.push_back({"another model's", {part(0, 2, 2), stranger}, kBad, "a part of another model"});
  rows.push_back(
      {"other total", {part(0, 2, 2), part(1, 2, 9)}, kBad, "split.tensors.count is \"9\""});
  rows.push_back({"second is whole", {part(0, 2, 2), not_split}, kBad, "split.count is 1"});
  rows.push_back({"count is a float", {float_count, part(1, 2)}, kBad, "has type f32"});
  rows.push_back(
      {"no number", {no_number, part(1, 2)}, ErrorCode::NotFound, "split.no is missing"});
  rows.push_back({"second is garbage", {part(0, 2, 2), garbage}, kBad, "not a GGUF file"});
  return rows;
}

TEST_F(Gguf, BadSplitsAreRefusedInWords) {
  for (const SplitRow& row : split_rows()) {
    SCOPED_TRACE(row.name);
    const uint32_t count = uint32_t(row.parts.size());
    for (uint32_t i = 0; i < count; ++i) row.parts[i].write(part_path(i + 1, count));
    expect_error(open_gguf(part_path(1, count)), row.code, row.word);
  }
}

TEST_F(Gguf, MissingAndRenamedParts) {
  part(0, 2, 2).write(part_path(1, 2));
  expect_error(open_gguf(part_path(1, 2)), ErrorCode::NotFound, "part 2 of 2: ");
  part(0, 2, 2).write(path("renamed.gguf"));
  expect_error(open_gguf(path("renamed.gguf")), ErrorCode::BadFile, "its name must end in");
  part(0, 65535).write(split_path({path("many"), 1, 65535}, 1));
  expect_error(open_gguf(split_path({path("many"), 1, 65535}, 1)), ErrorCode::Unsupported,
               "the limit is 1024");
  // A file that only looks like a part by its name is whole.
  two_tensors().write(part_path(1, 2));
  EXPECT_EQ(open_gguf(part_path(1, 2)).value()->n_parts(), 1u);
  // A link is followed like any path.
  part(0, 2, 2).write(part_path(1, 2));
  part(1, 2, 2).write(path("elsewhere"));
  fs::create_symlink(path("elsewhere"), part_path(2, 2));
  EXPECT_EQ(open_gguf(part_path(1, 2)).value()->n_parts(), 2u);
}

TEST(SplitPaths, FormOfTheName) {
  const auto split = parse_split_path("../models/a-00002-of-00010.gguf");
  ASSERT_TRUE(split);
  EXPECT_EQ(split->prefix, "../models/a");
  EXPECT_EQ(split->number, 2u);
  EXPECT_EQ(split->count, 10u);
  EXPECT_EQ(split_path(*split, 10), "../models/a-00010-of-00010.gguf");
  for (const char* path :
       {"", ".gguf", "a.gguf", "a-1-of-2.gguf", "a-00001-of-00002.bin", "a-00000-of-00002.gguf",
        "a-00003-of-00002.gguf", "a-0000x-of-00002.gguf", "00001-of-00002.gguf",
        "a-00001-of--0002.gguf", "a00001-of-00002.gguf"})
    EXPECT_FALSE(parse_split_path(path)) << path;
}

TEST(Printable, EscapesAndShortens) {
  EXPECT_EQ(printable("a\x1b[1m\n\xff\xC3\xA9"), "a\\x1b[1m\\x0a\\xff\xC3\xA9");
  EXPECT_EQ(printable("abcdef", 3), "abc...");
  EXPECT_EQ(printable("abc", 3), "abc");
  EXPECT_TRUE(is_clean_utf8("\xF0\x9F\x8C\x8B \xE2\x82\xAC"));
  for (const char* text : {"\x80", "\xC1\xBF", "\xE0\x80\x80", "\xED\xBF\xBF", "\xF0\x80\x80\x80",
                           "\xF5\x80\x80\x80", "\xF4\x90\x80\x80", "\xE2\x82", "\x7F", "\xC2\x80"})
    EXPECT_FALSE(is_clean_utf8(text));
}

}  // namespace
}  // namespace pumice::test
