// What tests of `pumice bench` share: a document of results, and how a refusal must look.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "shell.h"

namespace pumice::test {

/// A document of results with one row.
inline std::string results(const std::vector<double>& samples, const char* unit = "tokens/s",
                           const char* kind = "model") {
  return nlohmann::json{{"schema", "pumice-bench"},
                        {"version", 1},
                        {"kind", kind},
                        {"device", {{"name", "d"}}},
                        {"rows",
                         {{{"name", "tg128"},
                           {"unit", unit},
                           {"higher_is_better", std::string(unit) != "ms"},
                           {"samples", samples}}}}}
      .dump();
}

inline void expect_one_line(const Ran& ran, int exit, const std::string& says) {
  EXPECT_EQ(ran.exit, exit) << ran.err;
  EXPECT_NE(ran.err.find(says), std::string::npos) << says << " is not in " << ran.err;
  EXPECT_EQ(ran.err.find('\n'), ran.err.size() - 1) << "not one line:\n" << ran.err;
}

/// Whether a Vulkan device is here.
inline bool has_device(const Folder& folder) {
  return shell(folder, "@ devices").exit == 0;
}

/// For measurements whose times do not matter.
inline constexpr const char* kQuick = "--seconds 0.02 --walk 1";

class BenchCommand : public testing::Test {
 protected:
  [[nodiscard]] Ran bench(const std::string& arguments) const {
    return shell(folder, "@ bench " + arguments);
  }
  [[nodiscard]] bool device() const { return has_device(folder); }
  void expect_failure(const std::string& arguments, int exit, const std::string& words) const {
    const Ran ran = bench(arguments);
    expect_one_line(ran, exit, words);
    EXPECT_EQ(ran.out, "") << arguments;
  }
  Folder folder;
};

/// What results say of the device's roofs.
inline void check_roof(const nlohmann::json& roof) {
  ASSERT_EQ(roof["rows"].size(), 5u);
  EXPECT_GT(roof["bytes_per_second"].get<double>(), 0.0);
  for (const nlohmann::json& row : roof["rows"]) {
    if (row.contains("per_second")) continue;
    EXPECT_EQ(row["how"].get<std::string>().rfind("not measured: ", 0), 0u) << row;
  }
}

}  // namespace pumice::test
