// Which tensor gets which type: every row of the reference table, and the rules that no model of it
// reaches.
#include "engine/quant/mix.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "loader/gguf.h"

namespace pumice::quant::test {
namespace {

namespace fs = std::filesystem;

const fs::path kOracle = PUMICE_ORACLE_DIR;

/// A model as the rules see it; owns its tensors' names.
struct Shapes {
  MixFacts facts;
  std::vector<std::string> names;
  std::vector<TensorInfo> tensors;

  void add(std::string name, std::vector<uint64_t> shape) {
    TensorInfo tensor;
    tensor.n_dims = uint32_t(shape.size());
    tensor.n_weights = 1;
    for (size_t i = 0; i < shape.size(); ++i) tensor.n_weights *= tensor.shape[i] = shape[i];
    tensor.type = shape.size() == 1 ? QuantType::F32 : QuantType::F16;
    names.push_back(std::move(name));
    tensors.push_back(tensor);
  }
  /// After the last add: views must not move.
  void bind() {
    for (size_t i = 0; i < names.size(); ++i) tensors[i].name = names[i];
  }
};

/// A dense llama of the shape of the tables' synthetic models.
Shapes llama(uint32_t width, uint32_t layers, uint32_t heads, uint32_t heads_kv, uint32_t ffn,
             uint32_t vocabulary = 32'000) {
  Shapes out;
  out.facts = {"llama", layers, heads, heads_kv, 0};
  out.add("token_embd.weight", {width, vocabulary});
  out.add("output_norm.weight", {width});
  out.add("output.weight", {width, vocabulary});
  const uint32_t kv = width / heads * heads_kv;
  for (uint32_t i = 0; i < layers; ++i) {
    const auto name = [&](const char* part) { return fmt::format("blk.{}.{}.weight", i, part); };
    out.add(name("attn_norm"), {width});
    out.add(name("attn_q"), {width, width});
    out.add(name("attn_k"), {width, kv});
    out.add(name("attn_v"), {width, kv});
    out.add(name("attn_output"), {width, width});
    out.add(name("ffn_norm"), {width});
    out.add(name("ffn_gate"), {width, ffn});
    out.add(name("ffn_up"), {width, ffn});
    out.add(name("ffn_down"), {ffn, width});
  }
  out.bind();
  return out;
}

std::map<std::string, std::string> types_of(const Shapes& model, const TypeRequest& request) {
  const auto choices = choose_types(model.facts, model.tensors, request);
  EXPECT_TRUE(choices) << choices.error().text;
  std::map<std::string, std::string> out;
  for (size_t i = 0; choices && i < choices->size(); ++i)
    out[model.names[i]] = info((*choices)[i].type).name;
  return out;
}

TypeRequest asked(std::string_view mix) {
  TypeRequest request;
  request.mix = find_mix(mix);
  EXPECT_TRUE(request.mix) << mix;
  return request;
}

TypeWish wish(const char* pattern, QuantType type) {
  auto compiled = Pattern::compile(pattern);
  EXPECT_TRUE(compiled);
  return {*compiled, type, fmt::format("wish {}", pattern)};
}

/// The reference's models by the name that its rows carry. Files stay open: names point into them.
class ReferenceModels {
 public:
  const Shapes& get(const std::string& name) {
    auto [at, is_new] = models_.try_emplace(name);
    if (!is_new) return at->second;
    unsigned width, layers, heads, heads_kv, ffn;
    if (std::sscanf(name.c_str(), "synth_model.py %u %u %u %u %u", &width, &layers, &heads,
                    &heads_kv, &ffn) == 5) {
      at->second = llama(width, layers, heads, heads_kv, ffn);
      at->second.bind();
      return at->second;
    }
    const auto file = open_gguf((kOracle / "archs" / (name + ".gguf")).string());
    EXPECT_TRUE(file) << name;
    files_.push_back(*file);
    Shapes& shapes = at->second;
    shapes.tensors.assign((*file)->tensors().begin(), (*file)->tensors().end());
    for (const TensorInfo& tensor : shapes.tensors) shapes.names.emplace_back(tensor.name);
    const auto facts = mix_facts((*file)->metadata(), (*file)->tensors());
    EXPECT_TRUE(facts) << facts.error().text;
    shapes.facts = *facts;
    return shapes;
  }

 private:
  std::map<std::string, Shapes> models_;
  std::vector<std::shared_ptr<const GgufFile>> files_;
};

TEST(Mix, EveryRowOfTheReference) {
  std::ifstream in(kOracle / "mixes.jsonl");
  if (!in) GTEST_SKIP() << "no reference data at " << kOracle / "mixes.jsonl";
  ReferenceModels models;
  size_t rows = 0;
  for (std::string line; std::getline(in, line); ++rows) {
    const auto row = nlohmann::json::parse(line);
    const std::string model = row["model"], mix = row["mix"];
    const Shapes& shapes = models.get(model);
    const auto choices = choose_types(shapes.facts, shapes.tensors, asked(mix));
    ASSERT_TRUE(choices) << model << ": " << choices.error().text;
    uint64_t bytes = 0;
    for (size_t i = 0; i < choices->size(); ++i) {
      const QuantTypeInfo& chosen = info((*choices)[i].type);
      ASSERT_TRUE(row["types"].contains(shapes.names[i])) << model << " " << shapes.names[i];
      EXPECT_EQ(row["types"][shapes.names[i]], chosen.name)
          << model << " " << mix << " " << shapes.names[i];
      bytes += shapes.tensors[i].n_weights / chosen.block_weights * chosen.block_bytes;
    }
    EXPECT_EQ(row["types"].size(), choices->size()) << model;
    EXPECT_NEAR(double(bytes) / 0x1p20, row["MiB"].get<double>(), 0.00501) << model << " " << mix;
  }
  EXPECT_EQ(rows, 760u);
}

// 80 layers and shared heads: the mixes give attn_v a bit more than elsewhere.
TEST(Mix, SeventyBillionKeepsItsFewValues) {
  auto types = types_of(llama(512, 80, 8, 1, 512), asked("Q4_K_M"));
  EXPECT_EQ(types["blk.0.attn_v.weight"], "q6_k");
  EXPECT_EQ(types["blk.10.attn_v.weight"], "q5_k");
  EXPECT_EQ(types["blk.10.ffn_down.weight"], "q4_k");
  types = types_of(llama(512, 80, 8, 1, 512), asked("Q3_K_S"));
  EXPECT_EQ(types["blk.10.attn_v.weight"], "q5_k");
  types = types_of(llama(512, 80, 8, 8, 512), asked("Q4_K_M"));  // 65B: no sharing
  EXPECT_EQ(types["blk.10.attn_v.weight"], "q4_k");
}

TEST(Mix, EightExpertsKeepTheirAttention) {
  Shapes model = llama(256, 16, 4, 4, 512);
  model.facts.experts = 8;
  auto types = types_of(model, asked("Q4_K_M"));
  EXPECT_EQ(types["blk.5.attn_v.weight"], "q8_0");
  EXPECT_EQ(types["blk.5.attn_k.weight"], "q8_0");
  EXPECT_EQ(types["blk.5.attn_output.weight"], "q5_k");
  EXPECT_EQ(types["blk.5.attn_q.weight"], "q4_k");
  types = types_of(model, asked("Q3_K_L"));
  EXPECT_EQ(types["blk.5.attn_output.weight"], "q3_k");
  model.facts.experts = 4;
  types = types_of(model, asked("Q4_K_M"));
  EXPECT_EQ(types["blk.5.attn_k.weight"], "q4_k");
}

TEST(Mix, FalconHasItsOwnRules) {
  Shapes model = llama(256, 32, 4, 4, 512);
  model.facts.architecture = "falcon";
  auto types = types_of(model, asked("Q4_K_M"));
  EXPECT_EQ(types["output.weight"], "q8_0");
  EXPECT_EQ(types["blk.1.ffn_down.weight"], "q6_k");  // the first sixteenth
  EXPECT_EQ(types["blk.2.ffn_down.weight"], "q5_k");  // more bits
  EXPECT_EQ(types["blk.5.ffn_down.weight"], "q4_k");
  types = types_of(model, asked("Q4_K_S"));
  EXPECT_EQ(types["blk.0.ffn_down.weight"], "q4_k");
  types = types_of(model, asked("Q3_K_L"));
  EXPECT_EQ(types["blk.0.attn_output.weight"], "q4_k");
  EXPECT_EQ(types["blk.0.ffn_down.weight"], "q4_k");
}

TEST(Mix, AnImportanceMatrixChangesTheFirstEighth) {
  const Shapes model = llama(256, 16, 4, 4, 512);
  struct Row {
    const char *mix, *without, *with;
  };
  for (const Row& row : {Row{"IQ4_XS", "q5_k", "iq4_xs"}, Row{"IQ4_NL", "q5_k", "iq4_nl"},
                         Row{"Q4_0", "q4_0", "q4_1"}, Row{"Q5_0", "q5_0", "q5_1"}}) {
    TypeRequest request = asked(row.mix);
    EXPECT_EQ(types_of(model, request)["blk.1.ffn_down.weight"], row.without) << row.mix;
    request.with_importance = true;
    EXPECT_EQ(types_of(model, request)["blk.1.ffn_down.weight"], row.with) << row.mix;
    EXPECT_EQ(types_of(model, request)["blk.2.ffn_down.weight"], info(request.mix->type).name)
        << row.mix;
  }
}

TEST(Mix, SeedMixIsWhatItsNameSays) {
  Shapes model = llama(256, 4, 4, 4, 512);
  model.tensors[1].type = QuantType::F16;  // a norm
  auto types = types_of(model, asked("seed-mix"));
  for (const auto& [name, type] : types) {
    const auto has = [&](const char* part) { return name.find(part) != std::string::npos; };
    const char* expected = has("_norm")                                           ? "f32"
                           : has("ffn_down") || has("attn_v") || has("output.we") ? "q6_k"
                                                                                  : "q4_k";
    EXPECT_EQ(type, has("attn_output") ? "q4_k" : expected) << name;
  }
}

TEST(Mix, PureIsOneTypeWithFallbacks) {
  TypeRequest request = asked("Q5_K_M");
  request.pure = true;
  const auto types = types_of(llama(256, 8, 4, 4, 96), request);
  for (const auto& [name, type] : types) {
    if (name.find("norm") != std::string::npos) continue;
    EXPECT_EQ(type, name.find("ffn_down") != std::string::npos ? "q5_1" : "q5_k") << name;
  }
}

TEST(Mix, FloatMixesAreOneTypeToo) {
  for (const char* mix : {"F32", "F16", "BF16"})
    for (const auto& [name, type] : types_of(llama(256, 2, 4, 1, 40), asked(mix)))
      EXPECT_EQ(type,
                name.find("norm") != std::string::npos ? "f32" : info(find_mix(mix)->type).name)
          << mix << " " << name;
}

TEST(Mix, RowsThatFitNoBlockBecomeF16) {
  Shapes model = llama(256, 1, 4, 4, 40);
  EXPECT_EQ(types_of(model, asked("Q4_K_M"))["blk.0.ffn_down.weight"], "f16");
  EXPECT_EQ(types_of(model, asked("MXFP4_MOE"))["blk.0.ffn_down.weight"], "f16");
}

TEST(Mix, TheFirstWishDecidesAndSkipsTheCount) {
  TypeRequest request = asked("Q4_K_S");  // attn_v: the first four of those counted are Q5_K
  request.wishes.push_back(wish("blk\\.0\\.attn_v", QuantType::Q8_0));
  request.wishes.push_back(wish("blk\\.[01]\\.attn_[vq]", QuantType::Q6_K));
  const auto types = types_of(llama(256, 8, 4, 4, 512), request);
  EXPECT_EQ(types.at("blk.0.attn_v.weight"), "q8_0");
  EXPECT_EQ(types.at("blk.1.attn_v.weight"), "q6_k");
  EXPECT_EQ(types.at("blk.0.attn_q.weight"), "q6_k");
  EXPECT_EQ(types.at("blk.5.attn_v.weight"), "q5_k");
  EXPECT_EQ(types.at("blk.6.attn_v.weight"), "q4_k");
}

TEST(Mix, OutputAndEmbeddingAreAskedForByThemselves) {
  TypeRequest request = asked("Q4_K_M");
  request.output = QuantType::Q8_0;
  request.token_embedding = QuantType::F16;
  auto types = types_of(llama(256, 1, 4, 4, 512), request);
  EXPECT_EQ(types["output.weight"], "q8_0");
  EXPECT_EQ(types["token_embd.weight"], "f16");
  Shapes tied = llama(256, 1, 4, 4, 512);
  tied.names[2] = "blk.0.other.weight";
  tied.bind();
  request.token_embedding.reset();
  types = types_of(tied, request);
  EXPECT_EQ(types["token_embd.weight"], "q8_0") << "the embedding is the output there";
}

TEST(Mix, NormsStayUnlessTheyAreWishedF32) {
  Shapes model = llama(256, 1, 4, 4, 512);
  model.tensors[1].type = QuantType::F16;
  TypeRequest request;
  request.wishes.push_back(wish(".", QuantType::Q8_0));
  auto types = types_of(model, request);
  EXPECT_EQ(types["output_norm.weight"], "f16");
  EXPECT_EQ(types["output.weight"], "q8_0");
  request.wishes.insert(request.wishes.begin(), wish("_norm", QuantType::F32));
  EXPECT_EQ(types_of(model, request)["output_norm.weight"], "f32");
}

TEST(Mix, WishesThatCannotBeGranted) {
  const Shapes model = llama(256, 1, 4, 4, 96);
  const auto error_of = [&](const char* pattern, QuantType type) {
    TypeRequest request = asked("Q4_K_M");
    request.wishes.push_back(wish(pattern, type));
    const auto choices = choose_types(model.facts, model.tensors, request);
    EXPECT_FALSE(choices);
    return choices ? std::string() : choices.error().text;
  };
  std::string text = error_of("ffn_down", QuantType::Q6_K);
  EXPECT_NE(text.find("blk.0.ffn_down.weight"), std::string::npos) << text;
  EXPECT_NE(text.find("96"), std::string::npos) << text;
  EXPECT_NE(text.find("256"), std::string::npos) << text;
  text = error_of("ffn_dwon", QuantType::Q6_K);
  EXPECT_NE(text.find("ffn_dwon"), std::string::npos) << text;
  text = error_of("^(([a-z._0-9]+)*)*[!?]$", QuantType::Q6_K);
  EXPECT_NE(text.find("limit"), std::string::npos) << text;
}

TEST(Mix, NamesAndAliases) {
  struct Row {
    const char *asked, *found;
  };
  for (const Row& row : {Row{"Q4_K", "Q4_K_M"}, Row{"q3_k", "Q3_K_M"}, Row{"Q5_K", "Q5_K_M"},
                         Row{"q4_k_m", "Q4_K_M"}, Row{"iq4_xs", "IQ4_XS"}, Row{"f16", "F16"},
                         Row{"Seed-Mix", "seed-mix"}}) {
    const Mix* mix = find_mix(row.asked);
    ASSERT_TRUE(mix) << row.asked;
    EXPECT_EQ(mix->name, row.found);
  }
  EXPECT_FALSE(find_mix("Q4_K_XL"));
  EXPECT_FALSE(find_mix(""));
  EXPECT_EQ(find_type("Q6_k")->type, QuantType::Q6_K);
  EXPECT_FALSE(find_type("q9"));
}

TEST(Pattern, BadOnesSayWhere) {
  const auto bad = Pattern::compile("attn_(v");
  ASSERT_FALSE(bad);
  EXPECT_NE(bad.error().text.find("character"), std::string::npos) << bad.error().text;
  EXPECT_FALSE(Pattern::compile(""));
  EXPECT_FALSE(Pattern::compile(std::string(5000, 'a')));
  EXPECT_FALSE(Pattern::compile("\xff"));
}

}  // namespace
}  // namespace pumice::quant::test
