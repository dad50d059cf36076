#include "engine/base/platform.h"

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstdlib>

#include "engine/base/platform_process.h"
#include "tests/support/folder_test.h"

namespace pumice {
namespace {

namespace fs = std::filesystem;

class Platform : public test::FolderTest {
 protected:
  static Result<void> write(const fs::path& path, const std::string& text) {
    return write_file_whole(path, std::as_bytes(std::span(text)));
  }
};

TEST(ProcessorTimes, GrowWhereTheSystemTells) {
  const ProcessorTime before = processor_time();
  if (before.total == 0) GTEST_SKIP() << "the system does not tell";
  ProcessorTime after = before;
  for (const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
       after.total == before.total && std::chrono::steady_clock::now() < end;)
    after = processor_time();
  EXPECT_GT(after.total, before.total);
  EXPECT_GE(after.stolen, before.stolen);
  EXPECT_LE(after.stolen, after.total);
}

TEST_F(Platform, WritesWholeFilesAndNothingBeside) {
  const fs::path path = folder / "new" / "cache.bin";
  ASSERT_TRUE(write(path, "one"));
  EXPECT_EQ(content(path), "one");
  ASSERT_TRUE(write(path, std::string(300'000, 'x')));
  EXPECT_EQ(content(path).size(), 300'000u);
  EXPECT_EQ(std::distance(fs::directory_iterator(path.parent_path()), fs::directory_iterator()), 1);
}

TEST_F(Platform, AFailedWriteLeavesTheFolderAsItWas) {
  fs::create_directories(folder / "target" / "full");
  const auto written = write(folder / "target", "text");  // a folder that is not empty
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ErrorCode::Io);
  EXPECT_NE(written.error().text.find("target"), std::string::npos) << written.error().text;
  EXPECT_EQ(files(), 1u);
}

TEST_F(Platform, APathThroughAFileIsAnError) {
  ASSERT_TRUE(write(folder / "file", "text"));
  EXPECT_FALSE(write(folder / "file" / "below", "text"));
  EXPECT_EQ(content(folder / "file"), "text");
}

#ifndef _WIN32
TEST_F(Platform, DevicesStayDevicesAndLinksStayLinks) {
  ASSERT_TRUE(write("/dev/null", "text"));
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  ASSERT_TRUE(write(folder / "real", "old"));
  fs::create_symlink("real", folder / "link");
  ASSERT_TRUE(write(folder / "link", "new"));
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(content(folder / "real"), "new");
}
#endif

TEST_F(Platform, InterruptsAreCountedAndForgotten) {
  count_interrupts();
  EXPECT_EQ(interrupts(), 0);
  std::raise(SIGINT);
  EXPECT_EQ(interrupts(), 1);
  std::raise(SIGINT);
  EXPECT_EQ(interrupts(), 2);
  clear_interrupts();
  EXPECT_EQ(interrupts(), 0);
}

TEST_F(Platform, MemoryFiguresAreOrdered) {
  EXPECT_GT(peak_resident_memory(), uint64_t(1) << 20);
  EXPECT_GE(physical_memory(), peak_resident_memory());
  EXPECT_GE(physical_memory(), available_memory());
}

TEST_F(Platform, MissingLibrariesAreNull) {
  EXPECT_EQ(open_library("libpumice-does-not-exist.so.7"), nullptr);
}

#ifndef _WIN32
TEST_F(Platform, TheCacheFollowsTheEnvironment) {
  ::setenv("XDG_CACHE_HOME", "/somewhere", 1);
  EXPECT_EQ(cache_folder(), "/somewhere/pumice");
  ::setenv("XDG_CACHE_HOME", "relative", 1);  // the specification says: ignore it
  ::setenv("HOME", "/home/me", 1);
  EXPECT_EQ(cache_folder(), "/home/me/.cache/pumice");
  ::unsetenv("HOME");
  EXPECT_EQ(cache_folder(), "");
}
#endif

}  // namespace
}  // namespace pumice
