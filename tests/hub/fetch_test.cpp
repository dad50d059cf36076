// From a name to a file: listing, choice and cache; and the same through the command.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "fake_hub.h"
#include "tests/command/shell.h"
#include "tests/support/gguf_writer.h"
#include "tools/pumice/hub/hub.h"
#include "tools/pumice/hub/listing.h"

namespace pumice::hub {
namespace {

namespace fs = std::filesystem;
using test::FakeHub;
using test::Folder;
using test::Ran;
using test::Request;
using test::Response;

class Fetches : public testing::Test {
 protected:
  Fetches() {
    ::setenv("no_proxy", "*", 1);
    http.endpoint = hub.server.url();
    http.connect_seconds = 2;
    options.attempts = 1;
    options.first_wait = std::chrono::milliseconds(0);
    options.say = [this](std::string_view line) { said += std::string(line) + "\n"; };
    hub.files = {{"README.md", {"text", "\"r\""}},
                 {"m-Q8_0.gguf", {test::made_up(20'000, 8), "\"q8\"", true}},
                 {"m-Q4_K_M.gguf", {test::made_up(10'000, 4), "\"q4\"", true}},
                 {"sub/n-00001-of-00002.gguf", {test::made_up(5'000, 1), "\"n1\"", true}},
                 {"sub/n-00002-of-00002.gguf", {test::made_up(6'000, 2), "\"n2\""}}};
  }

  Result<fs::path> get(const std::string& name, const std::string& file = "",
                       bool offline = false) {
    said.clear();
    return fetch({*parse_model_name(name), file, offline}, http, folder.file("hub"), options);
  }
  std::string bytes(const std::string& name, const std::string& file = "") {
    const auto path = get(name, file);
    EXPECT_TRUE(path) << path.error().text;
    return path ? test::content(path->string()) : "";
  }

  const Folder folder;
  FakeHub hub;
  HttpOptions http;
  DownloadOptions options;
  std::string said;
};

TEST_F(Fetches, ChoosesAndKeeps) {
  EXPECT_EQ(bytes("someone/model"), hub.files["m-Q4_K_M.gguf"].bytes);
  EXPECT_NE(said.find("downloading m-Q4_K_M.gguf of someone/model"), std::string::npos) << said;
  EXPECT_EQ(bytes("someone/model:q8_0"), hub.files["m-Q8_0.gguf"].bytes);
  EXPECT_EQ(hub.file_requests().size(), 2u);
  EXPECT_EQ(bytes("someone/model"), hub.files["m-Q4_K_M.gguf"].bytes);
  EXPECT_EQ(hub.file_requests().size(), 0u);
  EXPECT_EQ(said, "");
  EXPECT_TRUE(fs::exists(folder.file("hub/someone/model/m-Q4_K_M.gguf")));
  const auto absent = get("someone/model:Q2_K");
  ASSERT_FALSE(absent);
  EXPECT_NE(absent.error().text.find("Q4_K_M"), std::string::npos) << absent.error().text;
}

TEST_F(Fetches, AllPartsOfASplitModel) {
  const auto path = get("someone/model", "sub/n-00002-of-00002.gguf");
  ASSERT_TRUE(path) << path.error().text;
  EXPECT_EQ(path->filename(), "n-00001-of-00002.gguf");
  for (const char* part : {"sub/n-00001-of-00002.gguf", "sub/n-00002-of-00002.gguf"})
    EXPECT_EQ(test::content(folder.file(std::string("hub/someone/model/") + part)),
              hub.files[part].bytes);
  hub.files["sub/n-00002-of-00002.gguf"] = {test::made_up(7'000, 3), "\"n2b\""};
  ASSERT_TRUE(get("someone/model", "sub/n-00001-of-00002.gguf"));
  const auto requests = hub.file_requests();
  EXPECT_EQ(requests.back().path, "/someone/model/resolve/main/sub/n-00002-of-00002.gguf");
  EXPECT_EQ(requests.size(), 3u) << "only the part that changed comes again";
}

TEST_F(Fetches, PartsOfTwoVersionsAreNoModel) {
  const std::string first = "sub/n-00001-of-00002.gguf", second = "sub/n-00002-of-00002.gguf";
  const auto change = [&](uint32_t seed) {
    hub.files[first] = {test::made_up(5'000, seed), fmt::format("\"{}\"", seed), true};
    hub.files[second] = {test::made_up(6'000, seed + 1), fmt::format("\"{}\"", seed + 1), true};
  };
  change(1);
  ASSERT_TRUE(get("someone/model", first));
  change(11);
  hub.first = [&](const Request& request) -> std::optional<Response> {
    if (!request.path.ends_with(second)) return {};
    return Response{test::http("503 Unavailable", "", "")};
  };
  EXPECT_FALSE(get("someone/model", first)) << "half of the newer version came";
  const auto half = get("someone/model", first, true);
  ASSERT_FALSE(half) << "and the older one serves no more";
  EXPECT_NE(half.error().text.find("part 2 of 2"), std::string::npos) << half.error().text;
  hub.first = nullptr;
  ASSERT_TRUE(get("someone/model", first));
  EXPECT_EQ(test::content(folder.file("hub/someone/model/" + second)), hub.files[second].bytes);

  FakeHub elsewhere;  // a change between the listing and the second part
  change(21);
  elsewhere.files = hub.files;
  hub.redirect_to = elsewhere.server.url();
  hub.first = [&](const Request& request) -> std::optional<Response> {
    if (request.path.ends_with(second)) change(31);
    return {};
  };
  const auto changed = get("someone/model", first);
  ASSERT_FALSE(changed);
  EXPECT_NE(changed.error().text.find("since it was listed"), std::string::npos)
      << changed.error().text;
  EXPECT_FALSE(fs::exists(folder.file("hub/someone/model/" + second)));
}

TEST_F(Fetches, WithoutANetwork) {
  const auto never = get("someone/model", "", true);
  ASSERT_FALSE(never);
  EXPECT_NE(never.error().text.find("in the cache"), std::string::npos) << never.error().text;
  ASSERT_TRUE(get("someone/model"));
  (void)hub.server.take();
  ASSERT_TRUE(get("someone/model", "", true));
  EXPECT_EQ(hub.server.take().size(), 0u);
  hub.server.stop();
  const auto path = get("someone/model");
  ASSERT_TRUE(path) << path.error().text;
  EXPECT_NE(said.find("from the cache"), std::string::npos) << said;
  const auto other = get("someone/model:Q8_0");
  ASSERT_FALSE(other);
  EXPECT_NE(other.error().text.find("127.0.0.1"), std::string::npos) << other.error().text;
}

TEST_F(Fetches, ANewerVersionReplacesTheOlder) {
  const std::string old = bytes("someone/model");
  auto& file = hub.files["m-Q4_K_M.gguf"];
  file = {test::made_up(10'000, 44), "\"new\"", true};
  hub.cut_at = 4096;
  EXPECT_EQ(bytes("someone/model"), old) << "what is whole serves";
  EXPECT_NE(said.find("using the older"), std::string::npos) << said;
  hub.cut_at.reset();
  EXPECT_EQ(bytes("someone/model"), file.bytes);
}

TEST_F(Fetches, HostileHubs) {
  const auto answers = [&](const Response& response) {
    hub.first = [=](const Request&) { return std::optional<Response>(response); };
  };
  const auto refused = [&](const std::string& words) {
    const auto path = get("someone/model");
    ASSERT_FALSE(path) << words;
    EXPECT_NE(path.error().text.find(words), std::string::npos) << path.error().text;
    EXPECT_FALSE(fs::exists(folder.file("hub/someone")));
  };
  answers({test::http("200 OK", "",
                      R"([{"type":"file","path":"../../evil.gguf","size":4},)"
                      R"({"type":"file","path":"/evil.gguf","size":4}])")});
  refused("no model in GGUF");
  answers({test::http("200 OK", "", "<html>an error page</html>")});
  refused("expected a list of files");
  answers({test::http("200 OK", "", "[" + std::string(1 << 20, ' ')), false, 1'000'000});
  refused("4 MiB");
  answers({test::http("200 OK", "Link: <http://elsewhere/?cursor=x>; rel=\"next\"\r\n", "[]")});
  refused("pages");
  for (const Request& request : hub.server.take())
    EXPECT_TRUE(request.path.starts_with("/api/models/someone/model/tree/main?")) << request.path;
  answers({test::http("401 Unauthorized", "", "")});
  refused("HF_TOKEN");
  answers({test::http("200 OK", "",
                      R"([{"type":"file","path":"m-00001-of-00002.gguf","size":)"
                      R"(18446744073709551615},{"type":"file",)"
                      R"("path":"m-00002-of-00002.gguf","size":2}])")});
  const auto huge = get("someone/model");
  ASSERT_FALSE(huge);
  EXPECT_NE(huge.error().text.find("no disk is that large"), std::string::npos);
}

/// The command with its hub on this machine; `arguments` follow "pumice".
class Commands : public Fetches {
 protected:
  Commands() {
    test::GgufWriter writer;
    writer.set("general.architecture", "made-up").set("general.name", std::string(9'000, 'n'));
    const std::vector<std::byte> raw = writer.bytes();
    hub.files["m-Q4_K_M.gguf"].bytes.assign(reinterpret_cast<const char*>(raw.data()), raw.size());
  }
  [[nodiscard]] Ran run(const std::string& words, const std::string& before = "") const {
    return shell(folder, fmt::format("unset HF_HUB_OFFLINE; export HF_ENDPOINT={} "
                                     "HF_TOKEN=hf_secret; {} @ {}",
                                     hub.server.url(), before, words));
  }
};

TEST_F(Commands, InfoOfAModelOfAHub) {
  const Ran first = run("info -hf someone/model");
  EXPECT_EQ(first.exit, 0) << first.err;
  EXPECT_NE(first.out.find("made-up"), std::string::npos) << first.out;
  EXPECT_NE(first.err.find("downloading m-Q4_K_M.gguf"), std::string::npos) << first.err;
  EXPECT_EQ((first.out + first.err).find("secret"), std::string::npos);
  for (const Request& request : hub.server.take())
    EXPECT_EQ(request.header("Authorization"), "Bearer hf_secret");
  const Ran offline = run("info -hf someone/model", "HF_HUB_OFFLINE=1");
  EXPECT_EQ(offline.exit, 0) << offline.err;
  EXPECT_EQ(hub.server.take().size(), 0u);
  hub.server.stop();
  const Ran second = run("info --hf-repo someone/model:q4_k_m --json");
  EXPECT_EQ(second.exit, 0) << second.err;
  EXPECT_NE(second.err.find("from the cache"), std::string::npos) << second.err;
  const Ran third = run("info -hf someone/model -hff m-Q8_0.gguf --offline");
  EXPECT_EQ(third.exit, 1);
  EXPECT_NE(third.err.find("m-Q8_0.gguf"), std::string::npos) << third.err;
}

TEST_F(Commands, CtrlCKeepsWhatCame) {
  hub.cut_at = 4096;
  hub.stalls = true;
  const std::string part = folder.file("cache/pumice/hub/someone/model/m-Q4_K_M.gguf.part");
  const Ran stopped =
      shell(folder, fmt::format("unset HF_HUB_OFFLINE; export HF_ENDPOINT={}; "
                                "@ info -hf someone/model & "
                                "for i in {{1..500}}; do [ -s {} ] && break; sleep 0.02; done; "
                                "kill -INT $!; wait $!",
                                hub.server.url(), test::quoted(part)));
  EXPECT_EQ(stopped.exit, 1) << stopped.err;
  EXPECT_NE(stopped.err.find("interrupted"), std::string::npos) << stopped.err;
  hub.cut_at.reset();
  hub.stalls = false;
  EXPECT_EQ(run("info -hf someone/model").exit, 0);
  EXPECT_EQ(hub.file_requests().back().header("Range"), "bytes=4096-");
}

TEST_F(Commands, AFullDisk) {
  const Ran full = run("info -hf someone/model", "ulimit -f 4;");  // blocks of 1024 bytes
  EXPECT_EQ(full.exit, 1);
  EXPECT_NE(full.err.find("cannot write"), std::string::npos) << full.err;
  EXPECT_NE(full.err.find("4096 bytes are kept"), std::string::npos) << full.err;
  EXPECT_EQ(run("info -hf someone/model").exit, 0) << "and then room for it";
  EXPECT_EQ(hub.file_requests().back().header("Range"), "bytes=4096-");
}

TEST_F(Commands, AReadOnlyCache) {
  const std::string nobody =  // root may write everywhere
      ::geteuid() == 0 ? "setpriv --reuid=65534 --regid=65534 --clear-groups" : "";
  if (run("--version", nobody).exit != 0) GTEST_SKIP() << "nobody cannot run the command here";
  const fs::path cache = folder.file("cache");
  constexpr auto kReadOnly = fs::perms(0555), kUsual = fs::perms(0755);
  fs::create_directories(cache);
  fs::permissions(cache, kReadOnly);
  const Ran none = run("info -hf someone/model", nobody);
  EXPECT_EQ(none.exit, 1);
  EXPECT_NE(none.err.find("XDG_CACHE_HOME names another place"), std::string::npos) << none.err;
  fs::permissions(cache, kUsual);
  ASSERT_EQ(run("info -hf someone/model").exit, 0);

  const fs::path model = cache / "pumice" / "hub" / "someone" / "model";
  fs::permissions(model, kReadOnly);
  const Ran current = run("info -hf someone/model", nobody);
  EXPECT_EQ(current.exit, 0) << current.err;
  hub.files["m-Q4_K_M.gguf"].bytes += "newer";
  const Ran older = run("info -hf someone/model", nobody);
  EXPECT_EQ(older.exit, 0) << older.err;
  EXPECT_NE(older.err.find("using the older"), std::string::npos) << older.err;
  fs::permissions(model, kUsual);
}

TEST_F(Commands, AllThatTakeAModelTakeItFromAHub) {
  for (const char* words :
       {"run -p x", "chat", "info", "tokenize -p x", "logits --tokens 1 -o x", "eval ppl -f x",
        "eval kld --reference y -f x", "eval qa x", "imatrix -f x -o y", "lab x.html"}) {
    const Ran ran = run(fmt::format("{} -hf someone/other", words));
    EXPECT_EQ(ran.exit, 1) << words;
    EXPECT_NE(ran.err.find("nothing of that name"), std::string::npos) << words << ": " << ran.err;
    EXPECT_EQ(ran.err.find('\n'), ran.err.size() - 1) << words << ": " << ran.err;
  }
}

TEST_F(Commands, Usage) {
  EXPECT_EQ(run("info -hf nonsense").exit, 2);
  EXPECT_EQ(run("info -hf ../x").exit, 2);
  EXPECT_EQ(run("info -hf someone/model -m x.gguf").exit, 2);
  EXPECT_EQ(run("info -hf ''").exit, 2);
  EXPECT_EQ(run("info -hff x.gguf").exit, 2);
  EXPECT_EQ(run("info --offline").exit, 2);
  EXPECT_EQ(run("info -hf someone/model", "HF_ENDPOINT=nonsense").exit, 2);
  EXPECT_EQ(run("info -hf someone/model", "HF_TOKEN=$'a\\tb'").exit, 2);
  EXPECT_EQ(hub.server.take().size(), 0u);
  EXPECT_EQ(run("info -hf someone/other").exit, 1);
}

}  // namespace
}  // namespace pumice::hub
