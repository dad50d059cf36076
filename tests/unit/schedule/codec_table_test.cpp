// A codec in shaders/codec/ and its row in the layout table say the same: block, tile, name.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "engine/schedule/dispatch.h"
#include "engine/schedule/weight_layout.h"

namespace pumice {
namespace {

// The numbers behind `#define CODEC_...` of a codec file.
std::map<std::string, uint32_t> codec_defines(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::map<std::string, uint32_t> defines;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string directive, name;
    uint32_t value = 0;
    if (words >> directive >> name >> value && directive == "#define") defines[name] = value;
  }
  return defines;
}

std::filesystem::path codec_file(const WeightLayout& layout) {
  return std::filesystem::path(PUMICE_SOURCE_DIR) / "shaders" / "codec" /
         (std::string(info(layout.type).name) + ".glsl");
}

TEST(CodecTable, EveryLayoutHasACodecThatCountsTheSameUnits) {
  for (const WeightLayout& layout : weight_layouts()) {
    SCOPED_TRACE(info(layout.type).name);
    const auto defines = codec_defines(codec_file(layout));
    ASSERT_TRUE(defines.contains("CODEC_BLOCK"));
    EXPECT_EQ(defines.at("CODEC_BLOCK"), layout.block_weights);
    EXPECT_EQ(defines.at("CODEC_UNITS"), layout.tile_units());
    EXPECT_EQ(layout.block_weights / 32 % defines.at("CODEC_SPAN"), 0u);
    EXPECT_EQ(defines.contains("CODEC_QMAX"), layout.has_int8_path);
    EXPECT_NE(find_kernel("matvec_wide." + std::string(info(layout.type).name) + ".f32"), nullptr);
  }
}

TEST(CodecTable, EveryCodecFileHasALayout) {
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(
           std::filesystem::path(PUMICE_SOURCE_DIR) / "shaders" / "codec"))
    files += entry.path().extension() == ".glsl" ? 1 : 0;
  EXPECT_EQ(files, weight_layouts().size());
}

TEST(CodecTable, DeviceTilesAreAsLargeAsTheFilesBlocks) {
  for (const WeightLayout& layout : weight_layouts()) {
    if (layout.type == QuantType::MXFP4) continue;  // 17 bytes: a tile has half a unit of padding
    EXPECT_EQ(layout.tile_units() * kUnitBytes, layout.block_bytes * kTileRows)
        << info(layout.type).name;
  }
}

}  // namespace
}  // namespace pumice
