// Writes the first inputs of gguf_fuzz into a folder: small correct files that reach every branch.
#include <cstdio>
#include <filesystem>
#include <string>

#include "tests/support/gguf_writer.h"

namespace {

using namespace pumice;
using pumice::test::GgufWriter;

GgufWriter every_value() {
  GgufWriter file;
  file.set("u8", uint8_t(1)).set("i8", int8_t(-1)).set("u16", uint16_t(1)).set("i16", int16_t(-1));
  file.set("u32", uint32_t(1)).set("i32", int32_t(-1)).set("u64", uint64_t(1));
  file.set("i64", int64_t(-1)).set("f32", 1.0f).set("f64", 1.0).set("b", true);
  file.set("s", std::string("text"));
  return file;
}

GgufWriter every_array() {
  GgufWriter file;
  file.set_array("s", std::vector<std::string>{"<s>", "", "a"});
  file.set_array("f", std::vector<float>{0, -1}).set_array("i", std::vector<int32_t>{1, 2, 3});
  file.set_array("u", std::vector<uint32_t>{1}).set_array("b", std::vector<bool>{true, false});
  file.set_array("u8", std::vector<uint8_t>{1, 2, 3}).set_array("d", std::vector<double>{1});
  file.set_array("i64", std::vector<int64_t>{1, 2, 3});
  return file;
}

bool write_seeds(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return false;
  const auto path = [&](std::string_view name) { return (folder / name).string(); };
  every_value().write(path("values"));
  every_array().write(path("arrays"));
  GgufWriter split;
  split.set("split.no", uint16_t(0)).set("split.count", uint16_t(1)).write(path("split"));
  for (const QuantTypeInfo& type : quant_types()) {
    GgufWriter file;
    file.version = 2 + uint32_t(type.type) % 2;
    file.set("general.alignment", uint32_t(8));
    file.alignment = 8;
    file.tensor_zero("a.weight", type.type, {type.block_weights, 2});
    file.tensor_zero("b", QuantType::F32, {1, 2, 1, 1});
    file.write(path(type.name));
  }
  return std::filesystem::exists(path("values"));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: gguf_seeds FOLDER\n");
    return 2;
  }
  if (write_seeds(argv[1])) return 0;
  std::fprintf(stderr, "gguf_seeds: cannot write to %s\n", argv[1]);
  return 1;
}
