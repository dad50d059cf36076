#include "small_model.h"

#include <fmt/format.h>

#include <filesystem>

namespace pumice::test {

const std::string kSmallModel = PUMICE_ORACLE_DIR "/real/dreams260K-f32.gguf";

std::string story(int lines) {
  std::string text;
  for (int i = 0; i < lines; ++i)
    text += fmt::format("Day {}: the little fox ran to the river and asked {} birds to sing. ", i,
                        i * 7 % 13);
  return text;
}

void SmallModelTest::SetUp() {
  if (!std::filesystem::exists(kSmallModel)) GTEST_SKIP() << kSmallModel << " is not here";
  if (pumice("devices").exit != 0) GTEST_SKIP() << "no Vulkan device is here";
}

}  // namespace pumice::test
