// The public header's promises: statuses, texts that fit, sizes that are honoured.
#include <gtest/gtest.h>
#include <pumice.h>

#include <cstring>
#include <filesystem>
#include <string>

namespace {

pm_error new_error() {
  pm_error error;
  std::memset(&error, 0x5A, sizeof error);
  error.struct_size = sizeof error;
  return error;
}

/// Little-endian pieces of a GGUF file.
struct Bytes {
  std::string data;
  void u32(uint32_t value) { data.append(reinterpret_cast<const char*>(&value), sizeof value); }
  void u64(uint64_t value) { data.append(reinterpret_cast<const char*>(&value), sizeof value); }
  void text(const std::string& value) {
    u64(value.size());
    data += value;
  }
  void string_key(const std::string& key, const std::string& value) {
    text(key);
    u32(8);  // string
    text(value);
  }
};

/// One f32 tensor of 4 weights.
std::string tiny_model() {
  Bytes file;
  file.data = "GGUF";
  file.u32(3);
  file.u64(1);
  file.u64(3);
  file.string_key("general.architecture", "llama");
  file.string_key("general.name", "tiny");
  file.text("llama.context_length");
  file.u32(4);  // u32
  file.u32(77);
  file.text("token_embd.weight");
  file.u32(1);
  file.u64(4);
  file.u32(0);  // f32
  file.u64(0);
  file.data.resize((file.data.size() + 31) / 32 * 32);
  for (int i = 0; i < 4; ++i) file.u32(0x3F800000u);
  return file.data;
}

TEST(CApi, DescribesAModelInMemory) {
  const std::string bytes = tiny_model();
  pm_error error = new_error();
  pm_model* model = nullptr;
  ASSERT_EQ(pm_model_open_memory("tiny", bytes.data(), bytes.size(), &model, &error), PM_OK)
      << error.text;
  pm_model_info info = {};
  info.struct_size = sizeof info;
  ASSERT_EQ(pm_model_describe(model, &info, &error), PM_OK);
  EXPECT_STREQ(info.architecture, "llama");
  EXPECT_STREQ(info.name, "tiny");
  EXPECT_EQ(info.context_length, 77u);
  EXPECT_EQ(info.weights, 4u);
  EXPECT_EQ(info.tensor_bytes, 16u);
  EXPECT_EQ(info.tensors, 1u);
  pm_model_close(model);
}

TEST(CApi, EveryCutOfTheFileIsAnError) {
  const std::string bytes = tiny_model();
  for (size_t size = 0; size < bytes.size(); ++size) {
    const std::string cut = bytes.substr(0, size);  // so that a sanitizer sees reads behind it
    pm_error error = new_error();
    pm_model* model = nullptr;
    EXPECT_EQ(pm_model_open_memory("cut", cut.data(), cut.size(), &model, &error), PM_BAD_FILE)
        << size << ": " << error.text;
    EXPECT_EQ(model, nullptr);
    EXPECT_EQ(error.status, PM_BAD_FILE);
  }
}

TEST(CApi, OlderCallersGetTheirFieldsOnly) {
  const std::string bytes = tiny_model();
  pm_model* model = nullptr;
  ASSERT_EQ(pm_model_open_memory("tiny", bytes.data(), bytes.size(), &model, nullptr), PM_OK);
  pm_model_info info;
  std::memset(&info, 0x5A, sizeof info);
  info.struct_size = offsetof(pm_model_info, name);
  const char* const before = info.name;
  EXPECT_EQ(pm_model_describe(model, &info, nullptr), PM_OK);
  EXPECT_STREQ(info.architecture, "llama");
  EXPECT_EQ(info.name, before) << "a field beyond struct_size was written";
  info.struct_size = 0;
  EXPECT_EQ(pm_model_describe(model, &info, nullptr), PM_BAD_ARGUMENT);
  pm_model_close(model);
}

TEST(CApi, ErrorsFitTheirStruct) {
  const std::string path(4000, 'x');
  pm_model* model = nullptr;
  pm_error error = new_error();
  EXPECT_NE(pm_model_open(path.c_str(), &model, &error), PM_OK);
  EXPECT_EQ(std::strlen(error.text), sizeof error.text - 1);

  pm_error smaller = new_error();
  smaller.struct_size = offsetof(pm_error, text) + 10;
  EXPECT_EQ(pm_model_open("no-such.gguf", &model, &smaller), PM_NOT_FOUND);
  EXPECT_EQ(std::strlen(smaller.text), 9u);
  EXPECT_EQ(smaller.text[10], 0x5A);
}

TEST(CApi, CutTextsEndAtACharacter) {
  std::string path;
  while (path.size() < 600) path += "\xE2\x82\xAC";  // the euro sign
  pm_error error = new_error();
  pm_model* model = nullptr;
  EXPECT_NE(pm_model_open(path.c_str(), &model, &error), PM_OK);
  std::string text = error.text;
  const size_t last = text.rfind('\xE2');
  ASSERT_NE(last, std::string::npos);
  EXPECT_EQ(text.size() - last, 3u) << "the last character is not whole";
}

TEST(CApi, NullIsAnswered) {
  pm_model* model = nullptr;
  EXPECT_EQ(pm_model_open(nullptr, &model, nullptr), PM_BAD_ARGUMENT);
  EXPECT_EQ(pm_model_open("x", nullptr, nullptr), PM_BAD_ARGUMENT);
  EXPECT_EQ(pm_model_open_memory("x", nullptr, 5, &model, nullptr), PM_BAD_ARGUMENT);
  EXPECT_EQ(pm_model_describe(nullptr, nullptr, nullptr), PM_BAD_ARGUMENT);
  pm_model_close(nullptr);
}

TEST(CApi, WordsForEveryStatus) {
  for (int status = PM_OK; status <= PM_CANCELLED; ++status)
    EXPECT_STRNE(pm_status_text(static_cast<pm_status>(status)), "unknown status") << status;
  EXPECT_STREQ(pm_status_text(static_cast<pm_status>(15)), "unknown status");
}

TEST(CApi, OpensTheReferenceModel) {
  const std::string path = PUMICE_ORACLE_DIR "/archs/llama-dense.gguf";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not here";
  pm_error error = new_error();
  pm_model* model = nullptr;
  ASSERT_EQ(pm_model_open(path.c_str(), &model, &error), PM_OK) << error.text;
  pm_model_info info = {};
  info.struct_size = sizeof info;
  ASSERT_EQ(pm_model_describe(model, &info, &error), PM_OK);
  EXPECT_STREQ(info.architecture, "llama");
  EXPECT_GT(info.tensors, 10u);
  pm_model_close(model);
}

}  // namespace
