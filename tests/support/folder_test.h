// A test with a folder of its own on the disk.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

namespace pumice::test {

/// The folder is empty at first and goes with the test.
class FolderTest : public testing::Test {
 protected:
  FolderTest() {
    const testing::TestInfo& test = *testing::UnitTest::GetInstance()->current_test_info();
    folder = std::filesystem::path(testing::TempDir()) /
             (std::string("pumice_") + test.test_suite_name() + "_" + test.name());
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
  }
  ~FolderTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }

  [[nodiscard]] static std::string content(const std::filesystem::path& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
  }
  /// Entries of the folder.
  [[nodiscard]] size_t files() const {
    using Iterator = std::filesystem::directory_iterator;
    return size_t(std::distance(Iterator(folder), Iterator()));
  }

  std::filesystem::path folder;
};

}  // namespace pumice::test
