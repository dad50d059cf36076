// run, chat and logits on the small real model, on whichever Vulkan device the machine has first.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "small_model.h"

namespace pumice::test {
namespace {

using nlohmann::json;

class Run : public SmallModelTest {
 protected:
  [[nodiscard]] Ran pumice(const std::string& command, const std::string& arguments) const {
    return SmallModelTest::pumice(fmt::format("{} -m {} {}", command, kSmallModel, arguments));
  }
};

const std::string kGreedy = "Once upon a time, pixels unfolding like petals.";

TEST_F(Run, GreedyTextIsTheReference) {
  const Ran ran = pumice("run", "-p 'Once upon a time' -n 40 --temp 0 --act f32 --kv f32");
  ASSERT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(ran.out.rfind(kGreedy, 0), 0u) << ran.out;
  for (const char* word :
       {"load", "prompt", "decode", "tokens/s", "GB/s", "memory", "device", "activations", "hash"})
    EXPECT_NE(ran.err.find(word), std::string::npos) << word << " is not in\n" << ran.err;
}

TEST_F(Run, JsonHoldsTextAndFigures) {
  const Ran ran = pumice("run", "-p 'Once upon a time' -n 9 --seed 5 --json");
  ASSERT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(ran.err, "");
  const json report = json::parse(ran.out);
  EXPECT_EQ(report["tokens"], 9);
  EXPECT_EQ(report["seed"], 5);
  EXPECT_EQ(report["stop"], "limit");
  EXPECT_GT(report["prompt_tokens"].get<int>(), 4);
  EXPECT_GT(report["decode_tokens_per_second"].get<double>(), 0.0);
  EXPECT_GE(report["memory_device_bytes"].get<uint64_t>(), uint64_t(1) << 20);
}

TEST_F(Run, PrecisionIsWhatWasAskedAndIsReported) {
  const std::pair<const char*, const char*> rows[] = {
      {"--act q8", "int8 activations, f16 cache"},
      {"--act auto --kv f32 -ctv f16", "f32 K and f16 V cache"},
      {"--act f32 --kv-k f16 --kv-v f32 --kv-rotate", "f32 activations, rotated f16 K and f32 V"},
  };
  for (const auto& [flags, says] : rows) {
    const Ran ran = pumice("run", fmt::format("-p 'Once upon a time' -n 2 --temp 0 {}", flags));
    ASSERT_EQ(ran.exit, 0) << ran.err;
    EXPECT_NE(ran.err.find(says), std::string::npos) << flags << ": " << ran.err;
  }
}

TEST_F(Run, TheSeedDecides) {
  const std::string flags = "-p 'Once upon' -n 30 --temp 2 --json --seed ";
  const json one = json::parse(pumice("run", flags + "1").out);
  const json again = json::parse(pumice("run", flags + "1").out);
  const json other = json::parse(pumice("run", flags + "2").out);
  EXPECT_EQ(one["text"], again["text"]);
  EXPECT_EQ(one["logits_hash"], again["logits_hash"]);
  EXPECT_NE(one["text"], other["text"]);
}

TEST_F(Run, StopTextsEndTheTextBeforeThem) {
  const Ran ran =
      pumice("run", "-p 'Once upon a time' -n 40 --temp 0 --act f32 --stop like --json");
  ASSERT_EQ(ran.exit, 0) << ran.err;
  const json report = json::parse(ran.out);
  EXPECT_EQ(report["text"], ", pixels unfolding ");
  EXPECT_EQ(report["stop"], "stop");
}

TEST_F(Run, PromptsComeFromFilesToo) {
  const std::string file = folder_.write("prompt", "Once upon a time");
  for (const std::string& source : {"-f " + file, "-f - <" + file}) {
    const Ran ran = pumice("run", source + " -n 40 --temp 0 --act f32 --kv f32");
    EXPECT_EQ(ran.out.rfind(kGreedy, 0), 0u) << ran.out << ran.err;
  }
}

TEST_F(Run, FailuresAreOneLineAndLeaveNothing) {
  struct Row {
    const char* command;
    const char* arguments;
    int exit;
    const char* says;
  };
  const Row rows[] = {
      {"run", "-p ''", 2, "empty"},
      {"run", "-f /nonexistent", 1, "/nonexistent"},
      {"run", "-p 'a text of more than four tokens' -c 4", 1, "context of 4"},
      {"run", "-p x --device nonsense", 1, "nonsense"},
      {"run", "-p x --kv q8_0", 1, "heads of this model have 16 elements"},
      {"run", "-p x -ctv q4_0", 1, "(--kv-v f16)"},
      {"run", "-p x --chat-template nonsense", 1, "nonsense"},
      {"logits", "--tokens 1,512 -o rows", 1, "512"},
      {"logits", "--tokens 1 -o /nonexistent/rows", 1, "/nonexistent/rows"},
  };
  for (const Row& row : rows) {
    const Ran ran = pumice(row.command, row.arguments);
    EXPECT_EQ(ran.exit, row.exit) << row.arguments << ran.err;
    EXPECT_EQ(ran.out, "") << row.arguments;
    EXPECT_NE(ran.err.find(row.says), std::string::npos) << row.arguments << ": " << ran.err;
    EXPECT_EQ(ran.err.find('\n'), ran.err.size() - 1) << "not one line:\n" << ran.err;
    EXPECT_FALSE(std::filesystem::exists("rows"));
  }
}

TEST_F(Run, AReaderThatLeavesEndsItQuietly) {
  const Ran ran = shell(
      folder_, fmt::format("(@ run -m {} -p Once -n 100 --temp 0; echo code $? >&2) | head -c 4",
                           kSmallModel));
  EXPECT_EQ(ran.err, "code 0\n");
}

/// Long enough to be interrupted in the middle of a text.
const std::string kSlow = PUMICE_ORACLE_DIR "/bench/synth58m-q4_k_m.gguf";

// A model of random weights never ends: the text is 3000 tokens long unless Ctrl-C comes.
TEST_F(Run, CtrlCStopsTheTextAndKeepsTheFigures) {
  if (!std::filesystem::exists(kSlow)) GTEST_SKIP() << kSlow << " is not here";
  const std::string text = folder_.file("text");
  const Ran ran =
      shell(folder_, fmt::format("@ run -m {0} -p x --no-display-prompt -n 3000 >{1} & "
                                 "for i in {{1..300}}; do [ -s {1} ] && break; sleep 0.1; done; "
                                 "kill -INT $!; wait $!; echo code $? >&2",
                                 kSlow, text));
  EXPECT_NE(ran.err.find("pumice: interrupted\ncode 1\n"), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("decode"), std::string::npos) << ran.err;
  EXPECT_EQ(content(text).back(), '\n');
}

TEST_F(Run, CtrlCInAChatStopsTheAnswerOnly) {
  if (!std::filesystem::exists(kSlow)) GTEST_SKIP() << kSlow << " is not here";
  const std::string text = folder_.file("text"), lines = folder_.file("lines");
  const Ran ran =
      shell(folder_,
            fmt::format("mkfifo {2}; @ chat -m {0} -n 3000 <{2} >{1} & exec 3>{2}; "
                        "echo x >&3; for i in {{1..300}}; do [ -s {1} ] && break; sleep 0.1; done; "
                        "kill -INT $!; "
                        "echo /exit >&3; wait $!; echo code $? >&2",
                        kSlow, text, lines));
  EXPECT_NE(ran.err.find("pumice: stopped\ncode 0\n"), std::string::npos) << ran.err;
}

TEST_F(Run, ChatAnswersEveryLine) {
  const std::string input =
      folder_.write("lines", "Once upon a time\n\n/reset\nOnce upon a time\n/exit\nno\n");
  const Ran ran = shell(folder_, fmt::format("@ chat -m {} -n 12 --temp 0 --act f32 --kv f32 <{}",
                                             kSmallModel, input));
  ASSERT_EQ(ran.exit, 0) << ran.err;
  const size_t half = ran.out.size() / 2;
  EXPECT_GT(half, 10u);
  EXPECT_EQ(ran.out.substr(0, half), ran.out.substr(half)) << "after /reset the answer differs";
}

TEST_F(Run, ChatRemembersAndSaysWhenItIsFull) {
  const std::string input =
      folder_.write("lines", "Once upon a time\nand then\nand then\nand then\n");
  const Ran ran =
      shell(folder_, fmt::format("@ chat -m {} -n 20 --temp 0 -c 48 <{}", kSmallModel, input));
  EXPECT_EQ(ran.exit, 1);
  EXPECT_NE(ran.err.find("/reset"), std::string::npos) << ran.err;
}

TEST_F(Run, LogitsAreTheReferenceWhateverTheChunk) {
  const std::string reference = content(PUMICE_ORACLE_DIR "/real/dreams260K-f32.logits");
  int32_t header[2];
  ASSERT_GT(reference.size(), sizeof header);
  std::memcpy(header, reference.data(), sizeof header);
  const auto [n_tokens, n_vocab] = header;
  std::string tokens;
  for (int32_t i = 0; i < n_tokens; ++i) {
    int32_t token;
    std::memcpy(&token, reference.data() + sizeof header + size_t(i) * 4, 4);
    tokens += fmt::format("{}{}", i ? "," : "", token);
  }
  const std::string expected = reference.substr(sizeof header + size_t(n_tokens) * 4);
  std::string first;
  for (const char* chunk : {"", "-b 1", "-b 2", "-b 7"}) {
    const std::string out = folder_.file("rows");
    const Ran ran = pumice(
        "logits",
        fmt::format("--tokens {} --act f32 --kv f32 --deterministic {} -o {}", tokens, chunk, out));
    ASSERT_EQ(ran.exit, 0) << ran.err;
    const std::string rows = content(out);
    ASSERT_EQ(rows.size(), expected.size());
    double error = 0, power = 0;
    for (size_t i = 0; i < rows.size(); i += 4) {
      float a, b;
      std::memcpy(&a, rows.data() + i, 4);
      std::memcpy(&b, expected.data() + i, 4);
      error += double(a - b) * double(a - b);
      power += double(b) * double(b);
    }
    EXPECT_LE(error / power, 1e-6) << chunk;
    if (first.empty()) first = rows;
    EXPECT_TRUE(rows == first) << "other bits with " << chunk;
  }
}

}  // namespace
}  // namespace pumice::test
