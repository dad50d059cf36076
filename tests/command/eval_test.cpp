// eval on the small real model and on models of other types, as a user runs it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "small_model.h"

namespace pumice::test {
namespace {

using nlohmann::json;

const std::string kExact = PUMICE_ORACLE_DIR "/types/F32.gguf";
const std::string kQuantised = PUMICE_ORACLE_DIR "/types/Q4_K_M.gguf";

/// What the small model was made of: plain stories.
const std::string kStory =
    "Once upon a time there was a garden at the end of a long road. A child walked there every "
    "morning and counted the flowers: one, two, three. \"Why do you count?\" asked the bird. "
    "\"Because I want to know if they are all still here,\" said the child. The sun was warm and "
    "the wind was kind, and the day went by like a song. In the evening the light turned gold, "
    "then red, then blue, and the stars came out over the hills, quiet as dreams. ";

class Eval : public SmallModelTest {
 protected:
  void SetUp() override {
    SmallModelTest::SetUp();
    if (IsSkipped()) return;
    text = folder_.write("story.txt", kStory + kStory);
    std::string list;
    for (int i = 0; i < 160; ++i) list += fmt::format("{} ", (i * 37 + i / 9) % 128);
    ids = folder_.write("ids.txt", list);
  }
  [[nodiscard]] Ran eval(const std::string& kind, const std::string& arguments) const {
    return pumice(fmt::format("eval {} {}", kind, arguments));
  }
  [[nodiscard]] json report(const std::string& kind, const std::string& arguments) const {
    const Ran ran = eval(kind, arguments + " --json -");
    EXPECT_EQ(ran.exit, 0) << ran.err;
    return ran.exit == 0 ? json::parse(ran.out) : json();
  }
  std::string text, ids;
};

TEST_F(Eval, PerplexityIsThatOfALanguageModel) {
  const std::string flags = fmt::format("-m {} -c 64 --chunks 2 -f ", kSmallModel);
  const Ran ran = eval("ppl", flags + text);
  ASSERT_EQ(ran.exit, 0) << ran.err;
  for (const char* word : {"perplexity", "chunks of 64", "positions 32 to 62", "+-", "tokens/s"})
    EXPECT_NE(ran.out.find(word), std::string::npos) << word << " is not in\n" << ran.out;
  const json statistics = report("ppl", flags + text)["runs"][0]["statistics"];
  const double perplexity = statistics["perplexity"]["value"];
  EXPECT_NEAR(perplexity, std::exp(statistics["nll"]["value"].get<double>()), 1e-9);
  EXPECT_GT(statistics["perplexity"]["error"].get<double>(), 0.0);
  EXPECT_LT(perplexity, 512.0) << "the size of the vocabulary";
  // What it writes itself, greedily, it finds likely.
  const std::string own = folder_.file("own.txt");
  const Ran wrote =
      pumice(fmt::format("run -m {} -p 'Once upon a time' -n 180 --temp 0 >{}", kSmallModel, own));
  ASSERT_EQ(wrote.exit, 0) << wrote.err;
  const json likely = report("ppl", flags + own)["runs"][0]["statistics"];
  EXPECT_LT(likely["perplexity"]["value"].get<double>(), perplexity / 5);
}

// Side by side, kept or saved: a model is nothing away from itself.
TEST_F(Eval, AModelAgainstItselfIsExactlyZero) {
  const std::string saved = folder_.file("reference.logits");
  const std::string model = fmt::format("-m {} -f {} -c 64 --chunks 2 ", kSmallModel, text);
  const std::string rows[] = {model, model + "--reference " + kSmallModel,
                              model + "--save-reference " + saved, model + "--reference " + saved,
                              fmt::format("-m {} --reference {}", kSmallModel, saved)};
  for (const std::string& row : rows) {
    const json run = report("kld", row)["runs"][0];
    EXPECT_EQ(run["statistics"]["kld"]["mean"]["value"], 0.0) << row;
    EXPECT_EQ(run["statistics"]["kld"]["max"], 0.0) << row;
    EXPECT_EQ(run["statistics"]["kld_reverse"]["max"], 0.0) << row;
    EXPECT_EQ(run["statistics"]["same_top"]["value"], 1.0) << row;
    EXPECT_EQ(run["statistics"]["positions"], 62) << row;
  }
}

// One test, one folder: its runs share compiled pipelines.
TEST_F(Eval, AQuantisedModelOverAGridAndAwayFromItsReference) {
  if (!std::filesystem::exists(kQuantised)) GTEST_SKIP() << kQuantised << " is not here";
  const json runs =
      report("kld", fmt::format("-m {} -f {} --ids -c 32 --act f32,q8 --kv f32,f16 --temps 0.5,1",
                                kQuantised, ids))["runs"];
  ASSERT_EQ(runs.size(), 4u);
  const auto mean = [&](size_t i) {
    return runs[i]["statistics"]["kld"]["mean"]["value"].get<double>();
  };
  EXPECT_EQ(mean(0), 0.0);
  EXPECT_GT(mean(1), 0.0) << "a cache of 16-bit numbers";
  EXPECT_GT(mean(2), mean(1)) << "int8 activations cost more than a 16-bit cache";
  for (const json& row : runs[2]["temperatures"]) {
    const double kld = row["kld"]["value"], predicted = row["kld_predicted"]["value"];
    EXPECT_NEAR(predicted / kld, 1.0, 0.2);
    EXPECT_GT(row["total_variation"]["value"].get<double>(), 0.0);
  }

  const std::string files =
      fmt::format("-m {} --reference {} -f {} --ids -c 32 ", kQuantised, kExact, ids);
  const json run = report("kld", files)["runs"][0], kld = run["statistics"];
  EXPECT_GT(kld["kld"]["mean"]["value"].get<double>(), 1e-9);
  EXPECT_LT(kld["kld"]["mean"]["value"].get<double>(), 1.0);
  EXPECT_EQ(kld["positions"], 75);
  uint64_t positions = 0;
  for (const json& bin : run["flips"]["by_probability"])
    positions += bin["positions"].get<uint64_t>();
  EXPECT_EQ(positions, 75u);
  EXPECT_NEAR(1 - run["flips"]["flips"].get<double>() / 75, kld["same_top"]["value"].get<double>(),
              1e-12);
  const Ran flips = eval("flips", files);
  EXPECT_NE(flips.out.find("margin, logits"), std::string::npos) << flips.out << flips.err;
  const json curve = report("curve", files + "--chunks 3")["runs"][0]["curve"];
  EXPECT_EQ(curve[0]["first"], 0);
  EXPECT_EQ(curve.back()["last"], 30);
}

TEST_F(Eval, FailuresAreOneLine) {
  struct Row {
    std::string kind, arguments;
    int exit;
    std::string says;
  };
  const std::string model = "-m " + kSmallModel;
  const std::string brief = folder_.write("brief.txt", "Once upon a time");
  const std::string noise = folder_.write("noise.txt", "abc\xFF\xFE");
  const std::string copy = folder_.write("model.gguf", content(kSmallModel));
  const std::string rubbish = folder_.write("rubbish.logits", "PUMLOGIT and no more");
  const Row rows[] = {
      {"", "", 2, "subcommand"},
      {"ppl", model, 1, "no text"},
      {"ppl", model + " -f /nonexistent", 1, "/nonexistent"},
      {"ppl", model + " -f " + brief, 1, "a chunk of 512 tokens need 512"},
      {"ppl", model + " -f " + text + " -c 7", 1, "the least is 8"},
      {"ppl", model + " -f " + noise, 1, "is no UTF-8"},
      {"ppl", "-m " + kExact + " -f " + text, 1, "ids but no texts"},
      {"ppl", model + " -f " + ids + " --ids --act f64", 2, "none of f32 q8"},
      {"ppl", "-m " + kExact + " -f " + text + " --ids", 1, "begins no token id below 128"},
      {"kld", model + " -f " + text + " -c 64 --reference " + kExact, 1, "vocabularies differ"},
      {"kld", model + " -f " + text + " -c 64 --reference " + rubbish, 1, "too few"},
      {"kld", model + " -f " + text + " -c 64 --reference /nonexistent", 1, "/nonexistent"},
      {"kld", model + " -f " + text + " -c 64 --save-reference /nonexistent/x", 1,
       "/nonexistent/x"},
      {"kld", model + " -f " + text + " --reference " + copy + " --save-reference " + copy, 1,
       "input of this command"},
      {"ppl", model + " -f " + text + " --json " + text, 1, "input of this command"},
      {"curve", model + " -f " + text + " --save-reference x", 1, "--reference names one"},
      {"kld", model + " -f " + text + " --temps 0", 2, "temps"},
      {"ppl", model + " -f " + text + " -c 64 --replies", 1, "chat"},
      {"qa", model + " /nonexistent", 1, "/nonexistent"},
      {"qa", model + " " + text, 1, "line 1: expected one JSON object"},
  };
  for (const Row& row : rows) {
    const Ran ran = eval(row.kind, row.arguments);
    EXPECT_EQ(ran.exit, row.exit) << row.kind << row.arguments << ran.err;
    EXPECT_EQ(ran.out, "") << row.arguments;
    EXPECT_NE(ran.err.find(row.says), std::string::npos) << row.arguments << ": " << ran.err;
    EXPECT_EQ(ran.err.find('\n'), ran.err.size() - 1) << "not one line:\n" << ran.err;
  }
}

// The model knows no chat, but a format can be chosen, and greedy answers are always the same.
TEST_F(Eval, QuestionsAreScoredByCategory) {
  const std::string plain =
      fmt::format("-m {} --chat-template chatml --max-tokens 8 -c 512 ", kSmallModel);
  const std::string ask = R"({"question": "What is it?", "answers": ["zzz"], "category": "first"})";
  const json first = report("qa", plain + folder_.write("one.jsonl", ask + "\n"));
  const std::string answer = first["answers"][0]["answer"];
  ASSERT_GE(answer.size(), 3u);
  EXPECT_EQ(first["answers"][0]["right"], false);
  std::string shouted = answer;
  for (char& c : shouted) c = char(std::toupper(static_cast<unsigned char>(c)));
  const json again = {{"question", "What is it?"}, {"answers", {"zzz", shouted}}};
  const json turns = {{"question", "What is it?"},
                      {"fact", "zzz"},
                      {"category", "turns"},
                      {"turns",
                       {"Hello",
                        {{"role", "user"}, {"content", "And"}},
                        {{"role", "assistant"}, {"content", "so"}}}}};
  const std::string file =
      folder_.write("all.jsonl", ask + "\n\n" + again.dump() + "\n" + turns.dump());
  const json all = report("qa", plain + file);
  EXPECT_EQ(all["answers"][0]["answer"], answer) << "an answer depends on the one before";
  EXPECT_EQ(all["answers"][1]["right"], true) << answer;
  EXPECT_EQ(all["scores"].size(), 4u) << "three categories and the total";
  EXPECT_EQ(all["scores"][3]["category"], "total");
  EXPECT_EQ(all["scores"][3]["right"], 1);
  const json ends =
      report("qa", plain + "--limit 2 " + folder_.write("prompts", "\"\"\n\"Hello\"\n\"And\"\n"));
  EXPECT_EQ(ends["answers"].size(), 2u);
  EXPECT_EQ(ends["scores"][0]["category"], "prompts");
  EXPECT_EQ(ends["scores"][0]["scored"], 0) << "of a prompt alone no answer is right or wrong";
  const json narrow = report("qa", plain + "-c 32 " + folder_.file("one.jsonl"));
  EXPECT_NE(narrow["answers"][0]["answer"].get<std::string>().find("context of 32"),
            std::string::npos);
  EXPECT_EQ(narrow["scores"][0]["too_long"], 1);
  const Ran verbose = eval("qa", plain + "--verbose " + file);
  EXPECT_NE(verbose.out.find("wrong [first] What is it?"), std::string::npos) << verbose.out;
  EXPECT_NE(verbose.out.find("expected \"zzz\""), std::string::npos) << verbose.out;
}

}  // namespace
}  // namespace pumice::test
