// Files that are there whole or not at all.
#include "engine/base/platform_file.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "tests/support/folder_test.h"

namespace pumice {
namespace {

namespace fs = std::filesystem;

class NewFiles : public test::FolderTest {
 protected:
  static void write(const fs::path& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
  }
  static auto bytes(const std::string& text) { return std::as_bytes(std::span(text)); }
};

TEST_F(NewFiles, AppearsWhenFinished) {
  write(folder / "x", "old");
  const std::string one = "one", two = "two";
  auto file = NewFile::create(folder / "x");
  ASSERT_TRUE(file) << file.error().text;
  ASSERT_TRUE((*file)->write(bytes(one)));
  EXPECT_EQ(content(folder / "x"), "old");
  EXPECT_TRUE(fs::exists(folder / "x.part"));
  ASSERT_TRUE((*file)->write(bytes(two)));
  ASSERT_TRUE((*file)->finish());
  file->reset();
  EXPECT_EQ(content(folder / "x"), "onetwo");
  EXPECT_EQ(files(), 1u);
}

TEST_F(NewFiles, UnfinishedOnesAreRemoved) {
  write(folder / "x", "old");
  const std::string text = "new";
  auto file = NewFile::create(folder / "x");
  ASSERT_TRUE(file && (*file)->write(bytes(text)));
  file->reset();
  EXPECT_EQ(content(folder / "x"), "old");
  EXPECT_EQ(files(), 1u);
}

TEST_F(NewFiles, WhatAKilledProcessLeftIsWrittenOver) {
  write(folder / "x.part", "a long rest of an earlier run");
  const std::string text = "new";
  auto file = NewFile::create(folder / "x");
  ASSERT_TRUE(file && (*file)->write(bytes(text)) && (*file)->finish());
  EXPECT_EQ(content(folder / "x"), "new");
}

TEST_F(NewFiles, TwoWritersOfOneFileAreOneTooMany) {
  auto file = NewFile::create(folder / "x");
  ASSERT_TRUE(file);
  const auto second = NewFile::create(folder / "x");
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().text.find("x.part"), std::string::npos) << second.error().text;
  EXPECT_TRUE(fs::exists(folder / "x.part"));
}

TEST_F(NewFiles, ResumedOnesStayAndGoOn) {
  const std::string one = "one", two = "two", other = "a longer one";
  auto file = NewFile::resume(folder / "x");
  ASSERT_TRUE(file) << file.error().text;
  EXPECT_EQ((*file)->size(), 0u);
  ASSERT_TRUE((*file)->write(bytes(one)));
  const auto busy = NewFile::resume(folder / "x");
  ASSERT_TRUE(busy) << busy.error().text;
  EXPECT_EQ(*busy, nullptr) << "two writers of one file";
  file->reset();
  EXPECT_EQ(content(folder / "x.part"), "one");

  file = NewFile::resume(folder / "x");
  ASSERT_TRUE(file && *file);
  EXPECT_EQ((*file)->size(), 3u);
  std::string back(3, ' ');
  ASSERT_TRUE((*file)->read(0, std::as_writable_bytes(std::span(back))));
  EXPECT_EQ(back, "one");
  EXPECT_FALSE((*file)->read(1, std::as_writable_bytes(std::span(back)))) << "read past the end";
  ASSERT_TRUE((*file)->write(bytes(two)));
  EXPECT_EQ((*file)->size(), 6u);
  ASSERT_TRUE((*file)->restart());
  ASSERT_TRUE((*file)->write(bytes(other)) && (*file)->finish());
  file->reset();
  EXPECT_EQ(content(folder / "x"), other);
  EXPECT_EQ(files(), 1u);

  file = NewFile::resume(folder / "x");  // nothing was written: nothing stays
  ASSERT_TRUE(file && *file);
  file->reset();
  EXPECT_EQ(files(), 1u);
}

TEST_F(NewFiles, TargetsThatCannotBe) {
  EXPECT_EQ(NewFile::create(folder).error().code, ErrorCode::BadArgument);
  EXPECT_EQ(NewFile::create(folder / "missing" / "x").error().code, ErrorCode::NotFound);
  fs::create_directory(folder / "x.part");
  EXPECT_FALSE(NewFile::create(folder / "x"));
  EXPECT_EQ(files(), 1u);
#ifndef _WIN32
  EXPECT_EQ(NewFile::create("/dev/null").error().code, ErrorCode::BadArgument);
#endif
}

#ifndef _WIN32
TEST_F(NewFiles, LinksAreFollowed) {
  fs::create_directory(folder / "far");
  write(folder / "far" / "x", "old");
  fs::create_symlink("far/x", folder / "link");
  const std::string text = "new";
  auto file = NewFile::create(folder / "link");
  ASSERT_TRUE(file && (*file)->write(bytes(text)) && (*file)->finish());
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(content(folder / "far" / "x"), "new");
  // a part file is never a way into another file
  write(folder / "other", "precious");
  fs::create_symlink("other", folder / "y.part");
  EXPECT_FALSE(NewFile::create(folder / "y"));
  EXPECT_EQ(content(folder / "other"), "precious");
}
#endif

TEST_F(NewFiles, OneFileUnderTwoNames) {
  write(folder / "a", "x");
  write(folder / "b", "x");
  fs::create_hard_link(folder / "a", folder / "hard");
  EXPECT_TRUE(same_file(folder / "a", folder / "hard"));
  EXPECT_TRUE(same_file(folder / "a", folder / "." / "a"));
  EXPECT_FALSE(same_file(folder / "a", folder / "b"));
  EXPECT_FALSE(same_file(folder / "a", folder / "missing"));
  EXPECT_FALSE(same_file(folder / "missing", folder / "missing"));
}

TEST_F(NewFiles, RoomIsKnown) {
  EXPECT_GT(free_bytes(folder), uint64_t(1) << 20);
  EXPECT_LT(free_bytes(folder), UINT64_MAX);
  EXPECT_EQ(free_bytes(folder / "missing"), UINT64_MAX);
}

}  // namespace
}  // namespace pumice
