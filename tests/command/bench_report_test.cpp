// `pumice bench report`: one page that needs nothing beside itself, whatever the results say.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench_support.h"
#include "shell.h"

namespace pumice::test {
namespace {

using nlohmann::json;

TEST(BenchReport, IsOnePageOfItsOwn) {
  const Folder folder;
  json hostile = json::parse(results({1, 2, 3, 4, 5, 6}));
  hostile["rows"][0]["name"] = "<b>\"tg\" & more";
  hostile["rows"][0]["flops_per_byte"] = 4;
  hostile["rows"][0]["gigaflops_per_second"] = 2.5;
  hostile["rows"][0]["gpu"] = {{"families", {{{"name", "<i>"}, {"share", 0.5}}}}};
  hostile["roof"] = {{"rows",
                      {{{"name", "copy"}, {"unit", "B/s"}, {"per_second", 1e10}},
                       {{"name", "fma"}, {"unit", "FLOP/s"}, {"per_second", 1e11}}}}};
  const std::string a = folder.write("a.json", hostile.dump());
  const std::string b = folder.write("b.json", results({2, 3, 4}));
  const std::string page = folder.file("page.html");
  const Ran ran = shell(folder, fmt::format("@ bench report {} {} {}", page, a, b));
  ASSERT_EQ(ran.exit, 0) << ran.err;
  const std::string html = content(page);
  for (const char* word : {"<!DOCTYPE html>", "<svg", "Roofline", "fma", "a.json", "b.json",
                           "&lt;b&gt;&quot;tg&quot; &amp; more", "Device time by kernel"})
    EXPECT_NE(html.find(word), std::string::npos) << word;
  for (const char* word : {"<b>\"", "<i>", "http", "<script"})
    EXPECT_EQ(html.find(word), std::string::npos) << word;
  expect_one_line(shell(folder, fmt::format("@ bench report {} {}", a, a)), 1, "input");
}

}  // namespace
}  // namespace pumice::test
