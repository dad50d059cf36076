// Usage errors, files and streams that are in the way, and the JSON that programs read.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "shell.h"

namespace pumice::test {
namespace {

using nlohmann::json;

const std::string kLlama = PUMICE_ORACLE_DIR "/archs/llama-dense.gguf";
const std::string kVocabulary = PUMICE_ORACLE_DIR "/vocab/ggml-vocab-llama-spm.gguf";

#define SKIP_WITHOUT(path) \
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not here"

struct Row {
  const char* arguments;
  int exit;
  const char* says;  ///< part of the one line on stderr
};

void PrintTo(const Row& row, std::ostream* out) {
  *out << "pumice " << row.arguments;
}

class Failing : public testing::TestWithParam<Row> {};

TEST_P(Failing, SaysWhyInOneLine) {
  const Folder folder;
  const Ran ran =
      shell(folder, fmt::format("cd {} && @ {}", quoted(folder.file("")), GetParam().arguments));
  EXPECT_EQ(ran.exit, GetParam().exit) << ran.err;
  EXPECT_EQ(ran.out, "");
  EXPECT_NE(ran.err.find(GetParam().says), std::string::npos) << ran.err;
  EXPECT_EQ(ran.err.rfind("pumice: ", 0), 0u) << ran.err;
  EXPECT_EQ(ran.err.find('\n'), ran.err.size() - 1) << "not one line:\n" << ran.err;
}

const Row kFailing[] = {
    {"", 2, "subcommand"},
    {"dance", 2, "dance"},
    {"info -m", 2, "-m"},
    {"info -m x --nonsense", 2, "--nonsense"},
    {"bench compare --nonsense", 2, "see pumice bench compare --help"},
    {"info -m missing.gguf", 1, "missing.gguf"},
    {"info -m .", 1, "."},
    {"info -m ''", 1, "pumice:"},
    {"info -m /dev/null", 1, "/dev/null"},
    {"info -m script", 1, "script"},
    {"tokenize -m x", 2, "--jsonl"},
    {"tokenize -m x -p y --jsonl", 2, "--jsonl"},
    {"tokenize -m missing.gguf -p y", 1, "missing.gguf"},
    {"run -m x -p y --temp hot", 2, "--temp"},
    {"run -m x -p y --act f64", 2, "--act"},
    {"run -m x -p y --kv q9_0", 2, "q8_0"},
    {"run -m x -p y -ctk q9_0", 2, "--kv-k"},
    {"run -m x -p y --without magic", 2, "magic"},
    {"run -m x -p y -c -5", 2, "-c"},
    {"run -m x", 2, "-p"},
    {"run -m missing.gguf -p y", 1, "missing.gguf"},
    {"chat -m missing.gguf", 1, "missing.gguf"},
    {"logits -m x -o y", 2, "--tokens"},
    {"logits -m x --tokens 1,two -o y", 2, "two"},
    {"logits -m missing.gguf --tokens 1 -o y", 1, "missing.gguf"},
    {"devices --json extra", 2, "extra"},
    {"imatrix", 2, "--show"},
    {"imatrix -m x -f y", 2, "-o FILE"},
    {"imatrix -m x -f y -o z --act q8", 2, "f32"},
    {"imatrix -m x -f y -o z --layers 5-2", 2, "5-2"},
    {"imatrix -m x -f y -o absent/z", 1, "no such folder"},
    {"imatrix -m missing.gguf -f y -o z", 1, "missing.gguf"},
    {"imatrix --show missing.gguf", 1, "missing.gguf"},
};

INSTANTIATE_TEST_SUITE_P(Command, Failing, testing::ValuesIn(kFailing));

TEST(Command, HelpAndVersionAreOutput) {
  const Folder folder;
  for (const char* arguments : {"--help", "run --help", "bench compare --help", "--version"}) {
    const Ran ran = shell(folder, fmt::format("@ {}", arguments));
    EXPECT_EQ(ran.exit, 0);
    EXPECT_NE(ran.out, "");
    EXPECT_EQ(ran.err, "");
  }
}

TEST(Command, InfoAsJson) {
  SKIP_WITHOUT(kLlama);
  const Folder folder;
  const Ran ran = shell(folder, fmt::format("@ info --json --keys --tensors -m {}", kLlama));
  ASSERT_EQ(ran.exit, 0) << ran.err;
  const json info = json::parse(ran.out);
  EXPECT_EQ(info["architecture"], "llama");
  EXPECT_EQ(info["supported"], true);
  EXPECT_EQ(info["block_count"], 2);
  uint64_t bytes = 0, weights = 0, tensors = 0;
  for (const json& type : info["types"]) {
    bytes += type["bytes"].get<uint64_t>();
    weights += type["weights"].get<uint64_t>();
    tensors += type["tensors"].get<uint64_t>();
  }
  EXPECT_EQ(bytes, info["tensor_bytes"]);
  EXPECT_EQ(weights, info["weights"]);
  EXPECT_EQ(tensors, info["tensors"].size());
  EXPECT_NEAR(info["bits_per_weight"].get<double>(), 8.0 * double(bytes) / double(weights), 1e-9);
}

TEST(Command, InfoOfWhatCannotRunSaysWhy) {
  const std::string path = PUMICE_ORACLE_DIR "/archs/mamba2-dense.gguf";
  SKIP_WITHOUT(path);
  const Folder folder;
  const Ran ran = shell(folder, fmt::format("@ info --json -m {}", path));
  ASSERT_EQ(ran.exit, 0) << ran.err;
  const json info = json::parse(ran.out);
  EXPECT_EQ(info["supported"], false);
  EXPECT_NE(info["unsupported_because"].get<std::string>().find("mamba2"), std::string::npos);
}

TEST(Command, TokenizeLinesGivesALinePerLine) {
  SKIP_WITHOUT(kVocabulary);
  const Folder folder;
  const std::string input =
      folder.write("in", "\"Hello world\"\n\"\"\n\"\\u00e9\\n\"\n\"<s></s>\"");
  const Ran ran = shell(folder, fmt::format("@ tokenize --jsonl -m {} <{}", kVocabulary, input));
  ASSERT_EQ(ran.exit, 0) << ran.err;
  std::istringstream lines(ran.out);
  size_t n = 0;
  for (std::string line; std::getline(lines, line); ++n) {
    const json ids = json::parse(line);
    ASSERT_TRUE(ids.is_array());
    EXPECT_EQ(ids.empty(), n == 1) << line;
    for (const json& id : ids) EXPECT_GT(id.get<int>(), 2) << "a control token from text: " << line;
  }
  EXPECT_EQ(n, 4u);
}

TEST(Command, TokenizeNamesTheBadLine) {
  SKIP_WITHOUT(kVocabulary);
  const Folder folder;
  for (const char* bad :
       {"hello", "[\"a\"]", "\"open", "\"\\ud800\"", "", "\"\xff\"", "\"a\" \"b\""}) {
    const std::string input = folder.write("in", std::string("\"fine\"\n") + bad + "\n");
    const Ran ran = shell(folder, fmt::format("@ tokenize --jsonl -m {} <{}", kVocabulary, input));
    EXPECT_EQ(ran.exit, 1) << bad;
    EXPECT_NE(ran.err.find("line 2"), std::string::npos) << ran.err;
  }
}

TEST(Command, AReaderThatLeavesEndsItQuietly) {
  SKIP_WITHOUT(kVocabulary);
  const Folder folder;
  const Ran ran = shell(
      folder,
      fmt::format("(for i in $(seq 20000); do echo '\"some text to encode\"'; done) 2>/dev/null | "
                  "(@ tokenize --jsonl -m {}; echo code $? >&2) | head -1",
                  kVocabulary));
  EXPECT_EQ(ran.err, "code 0\n");
}

TEST(Command, AFullDiskIsAFailure) {
  SKIP_WITHOUT(kLlama);
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "/dev/full is not here";
  const Folder folder;
  const Ran ran = shell(folder, fmt::format("@ info -m {} >/dev/full", kLlama));
  EXPECT_EQ(ran.exit, 1);
  EXPECT_NE(ran.err.find("standard output"), std::string::npos) << ran.err;
}

TEST(Command, ClosedStreamsAreSafe) {
  SKIP_WITHOUT(kLlama);
  const Folder folder;
  EXPECT_EQ(shell(folder, fmt::format("@ info -m {} <&- >&- 2>&-", kLlama)).exit, 0);
  EXPECT_EQ(shell(folder, "@ info -m missing.gguf <&- >&- 2>&-").exit, 1);
}

TEST(Command, DevicesAsJson) {
  const Folder folder;
  const Ran ran = shell(folder, "@ devices --json");
  if (ran.exit != 0) GTEST_SKIP() << ran.err;
  const json devices = json::parse(ran.out)["devices"];
  ASSERT_FALSE(devices.empty());
  for (const json& device : devices) {
    EXPECT_NE(device["name"], "");
    EXPECT_EQ(device["usable"].get<bool>(), device["unusable_because"] == "");
  }
}

TEST(Command, NoDriverIsOneLine) {
  const Folder folder;
  const std::string none = "VK_DRIVER_FILES=/nonexistent.json VK_ICD_FILENAMES=/nonexistent.json ";
  const Ran ran = shell(folder, none + "@ devices");
  EXPECT_EQ(ran.exit, 1);
  EXPECT_EQ(ran.out, "");
  EXPECT_EQ(ran.err.find('\n'), ran.err.size() - 1) << ran.err;
  EXPECT_NE(ran.err.find("mesa-vulkan-drivers"), std::string::npos) << ran.err;
}

}  // namespace
}  // namespace pumice::test
