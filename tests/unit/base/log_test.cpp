#include "engine/base/log.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace pumice {
namespace {

struct Line {
  LogLevel level;
  std::string text;
};

void collect(LogLevel level, std::string_view line, void* user) {
  static_cast<std::vector<Line>*>(user)->push_back({level, std::string(line)});
}

class Log : public testing::Test {
 protected:
  void SetUp() override { set_log_sink(collect, &lines); }
  void TearDown() override {
    set_log_sink(nullptr, nullptr);
    set_log_level(LogLevel::Warning);
  }
  std::vector<Line> lines;
};

TEST_F(Log, LevelsBelowAreDropped) {
  log_debug("a {}", 1);
  log_info("b");
  log_warning("c {}", 2);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].text, "c 2");
  EXPECT_EQ(lines[0].level, LogLevel::Warning);
  set_log_level(LogLevel::Debug);
  log_debug("d");
  log_info("e");
  EXPECT_EQ(lines.size(), 3u);
}

TEST_F(Log, ControlCharactersDoNotReachATerminal) {
  log_warning("{}", std::string("name\x1b[2J\nnext\x7F", 14));
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].text, "name?[2J?next?");
}

TEST_F(Log, TheDefaultSinkIsStderr) {
  set_log_sink(nullptr, nullptr);
  testing::internal::CaptureStderr();
  log_warning("seen");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "pumice: warning: seen\n");
}

}  // namespace
}  // namespace pumice
