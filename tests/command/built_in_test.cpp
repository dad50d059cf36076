// The built-in model: where commands without -m find it, and that it speaks. Tests of its language
// skip where this checkout has no demo/model/pumice-mini.gguf.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "shell.h"

namespace pumice::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const std::string kModel = PUMICE_SOURCE_DIR "/demo/model/pumice-mini.gguf";
const std::string kOther = PUMICE_ORACLE_DIR "/real/dreams260K-f32.gguf";

/// The complaint of a program whose model is none: it names the file.
std::string says_which(const Folder& folder, const std::string& program) {
  const Ran ran = shell(folder, program + " tokenize -p x");
  EXPECT_EQ(ran.exit, 1) << ran.out;
  return ran.err;
}

// The program is copied as an installation lays it out: bin/pumice beside share/pumice.
TEST(BuiltIn, AnInstallationHasItsOwn) {
  const Folder folder;
  fs::create_directories(folder.file("bin"));
  fs::create_directories(folder.file("share/pumice"));
  fs::copy_file(PUMICE_COMMAND, folder.file("bin/pumice"));
  const std::string own = "share/pumice/pumice-mini.gguf";
  (void)folder.write(own, "no model");
  EXPECT_NE(says_which(folder, quoted(folder.file("bin/pumice"))).find(own), std::string::npos);
  fs::create_symlink(folder.file("bin/pumice"), folder.file("link"));
  EXPECT_NE(says_which(folder, quoted(folder.file("link"))).find(own), std::string::npos);
}

TEST(BuiltIn, WithoutItAModelMustBeNamed) {
  if (fs::exists(kModel)) GTEST_SKIP() << kModel << " is here";
  const Folder folder;
  for (const char* words : {"run -p x", "chat", "info", "tokenize -p x", "logits --tokens 1 -o x",
                            "eval ppl -f x", "eval qa x", "lab x.html"}) {
    const Ran ran = shell(folder, fmt::format("@ {}", words));
    EXPECT_EQ(ran.exit, 2) << words;
    EXPECT_NE(ran.err.find("--model is required"), std::string::npos) << words << ": " << ran.err;
    EXPECT_EQ(ran.err.find('\n'), ran.err.size() - 1) << words << ": " << ran.err;
  }
}

class BuiltInModel : public testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(kModel)) GTEST_SKIP() << kModel << " is not in this checkout";
  }
  void needs_device() const {
    if (shell(folder, "@ devices").exit != 0) GTEST_SKIP() << "no Vulkan device is here";
  }
  Folder folder;
};

TEST_F(BuiltInModel, IsTheDefaultAndWhatItsCardSays) {
  const Ran ran = shell(folder, "@ info --json");
  ASSERT_EQ(ran.exit, 0) << ran.err;
  const json info = json::parse(ran.out);
  EXPECT_EQ(info["architecture"], "llama") << ran.out;
  EXPECT_LE(fs::file_size(kModel), 10'000'000u);
  const std::string card = content(PUMICE_SOURCE_DIR "/demo/model/README.md");
  const Ran hash = shell(folder, "sha256sum " + quoted(kModel));
  ASSERT_EQ(hash.exit, 0) << hash.err;
  EXPECT_NE(card.find(hash.out.substr(0, 64)), std::string::npos) << "the card is of another file";
}

TEST_F(BuiltInModel, GoesWhereAnotherIsNamed) {
  if (!fs::exists(kOther)) GTEST_SKIP() << kOther << " is not here";
  const Ran ran = shell(folder, fmt::format("@ info -m {}", kOther));
  EXPECT_NE(ran.out.find("dreams"), std::string::npos) << ran.out << ran.err;
}

TEST_F(BuiltInModel, AnswersAndStops) {
  needs_device();
  const std::string rows = R"({"question": "What is pumice?", "answers": ["model"]})"
                           "\n"
                           R"({"question": "Hello!", "answers": ["hello", "hi"]})"
                           "\n\"\"\n\"Wo ist der Bahnhof?\"\n";
  const std::string noise = fmt::format("\"{}\"\n", std::string(10'000, '~'));
  const Ran ran = shell(folder, fmt::format("@ eval qa {} --json -",
                                            quoted(folder.write("rows.jsonl", rows + noise))));
  ASSERT_EQ(ran.exit, 0) << ran.err;
  const json report = json::parse(ran.out);
  EXPECT_EQ(report["scores"][0]["right"], 2) << report["answers"].dump(1);
  const json& prompts = report["scores"][1];
  EXPECT_EQ(prompts["category"], "prompts");
  EXPECT_EQ(prompts["scored"], 0);
  EXPECT_EQ(prompts["too_long"], 1);
  EXPECT_EQ(prompts["stopped"], 2) << report["answers"].dump(1);
}

TEST_F(BuiltInModel, RepliesAloneAreScored) {
  needs_device();
  const auto ids = [&](const char* text) {
    const Ran ran = shell(folder, fmt::format("@ tokenize --special -p $'{}'", text));
    EXPECT_EQ(ran.exit, 0) << ran.err;
    return json::parse(ran.out);
  };
  json all =
      ids("<|im_start|>user\\nHello!<|im_end|>\\n<|im_start|>assistant\\nHi there!<|im_end|>");
  while (all.size() < 64) all.push_back(all.back());
  const std::string file = folder.write("ids", all.dump());
  const Ran ran =
      shell(folder, fmt::format("@ eval ppl -f {} --ids -c 32 --replies --json -", quoted(file)));
  ASSERT_EQ(ran.exit, 0) << ran.err;
  const json report = json::parse(ran.out);
  EXPECT_EQ(report["text"]["positions"], ids("Hi there!").size() + 1) << "and the end";
  EXPECT_LT(report["runs"][0]["statistics"]["nll"]["value"], 8.3) << "log of the vocabulary's size";
}

TEST_F(BuiltInModel, KeepsTheThreadOfAChat) {
  needs_device();
  const Ran ran = shell(folder,
                        "printf 'My name is Ann.\\nWhat is Q4_K?\\nWhat is my name?\\n' | "
                        "@ chat --temp 0");
  ASSERT_EQ(ran.exit, 0) << ran.err;
  EXPECT_NE(ran.out.rfind("Ann"), std::string::npos) << ran.out;
}

}  // namespace
}  // namespace pumice::test
