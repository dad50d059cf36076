// One file from a server that cuts, corrupts, changes, lies and stalls, at every 4 KiB.
#include "tools/pumice/hub/download.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <thread>

#include "fake_hub.h"
#include "tools/pumice/hub/record.h"

namespace pumice::hub {
namespace {

namespace fs = std::filesystem;
using test::FakeFile;
using test::FakeHub;
using test::Request;
using test::Response;
using test::Server;

constexpr size_t kStep = 4096;
const std::string kName = "m.gguf", kTagA = "\"version-a\"", kTagB = "\"version-b\"";
const std::string kA = test::made_up(12 * kStep + 123, 1), kB = test::made_up(kA.size(), 2);

std::string content(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

class Downloads : public testing::Test {
 protected:
  Downloads() {
    ::setenv("no_proxy", "*", 1);
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder = fs::path(testing::TempDir()) / fmt::format("pumice_{}_{}", info->name(), ::getpid());
    fs::remove_all(folder);
    target = folder / "user" / kName;
    hub.files[kName] = {kA, kTagA};
    options.attempts = 1;
    options.first_wait = std::chrono::milliseconds(0);
    options.say = [this](std::string_view line) { said += std::string(line) + "\n"; };
    http.endpoint = hub.server.url();
  }
  ~Downloads() override { fs::remove_all(folder); }

  Result<void> load(const HubFile& file) {
    Http client(http);
    return download(client, hub.server.url() + "/someone/model/resolve/main/" + kName, file, target,
                    options);
  }
  static HubFile hashed(const std::string& bytes) {
    return {kName, bytes.size(), test::sha256_of(bytes), ""};
  }
  static HubFile plain(const std::string& bytes) { return {kName, bytes.size(), "", ""}; }

  /// Nothing of a download is left but what is whole.
  void expect_clean(bool with_file) {
    EXPECT_EQ(fs::exists(target), with_file);
    EXPECT_EQ(fs::exists(record_path(target)), with_file);
    EXPECT_FALSE(fs::exists(target.string() + ".part"));
    EXPECT_FALSE(fs::exists(target.string() + ".part.json"));
  }
  void forget() {
    fs::remove_all(folder);
    (void)hub.file_requests();
    said.clear();
  }
  /// Ends with an error that has these words.
  void refused(const HubFile& file, ErrorCode code, const std::string& words) {
    const auto done = load(file);
    ASSERT_FALSE(done) << words;
    EXPECT_EQ(done.error().code, code) << done.error().text;
    EXPECT_NE(done.error().text.find(words), std::string::npos) << done.error().text;
    EXPECT_FALSE(fs::exists(target)) << words;
  }

  FakeHub hub;
  HttpOptions http;
  DownloadOptions options;
  fs::path folder, target;
  std::string said;
};

TEST_F(Downloads, ResumesFromEveryCut) {
  FakeHub elsewhere;
  elsewhere.files[kName] = {kA, kTagA};
  struct Mode {
    const char* name;
    bool with_hash, redirected;
  };
  for (const Mode& mode :
       {Mode{"plain", false, false}, {"with a hash", true, false}, {"redirected", false, true}})
    for (size_t cut = 0; cut <= kA.size(); cut += kStep) {
      SCOPED_TRACE(fmt::format("{}, cut at {}", mode.name, cut));
      forget();
      HubFile file = mode.with_hash ? hashed(kA) : plain(kA);
      file.oid = "id-of-a";
      FakeHub& host = mode.redirected ? elsewhere : hub;
      hub.redirect_to = mode.redirected ? elsewhere.server.url() : "";
      host.cut_at = cut;
      const auto first = load(file);
      ASSERT_FALSE(first);
      EXPECT_EQ(first.error().code, ErrorCode::Io) << first.error().text;
      EXPECT_FALSE(fs::exists(target));
      EXPECT_EQ(content(target.string() + ".part"), kA.substr(0, cut));
      host.cut_at.reset();
      const auto second = load(file);
      ASSERT_TRUE(second) << second.error().text;
      EXPECT_EQ(content(target), kA);
      expect_clean(true);
      const auto requests = host.file_requests();
      ASSERT_EQ(requests.size(), 2u);
      EXPECT_EQ(requests[1].header("Range"), cut ? fmt::format("bytes={}-", cut) : "");
      EXPECT_EQ(requests[1].header("If-Range"), cut ? kTagA : "");
      EXPECT_EQ(read_record(target)->sha256, test::sha256_of(kA));
      EXPECT_TRUE(is_current(target, file));
    }
}

TEST_F(Downloads, GoesOnByItself) {
  size_t end = 0;
  hub.first = [&](const Request&) -> std::optional<Response> {
    hub.cut_at = end += kStep;
    return {};
  };
  options.attempts = 20;
  const auto done = load(hashed(kA));
  ASSERT_TRUE(done) << done.error().text;
  EXPECT_EQ(content(target), kA);
  EXPECT_EQ(hub.file_requests().size(), 13u);
  forget();
  end = 0;
  options.attempts = 5;  // of little use each: given up, and kept
  refused(hashed(kA), ErrorCode::Io, "20480 bytes are kept");
}

TEST_F(Downloads, AnotherVersionBeginsAnew) {
  for (const bool with_hash : {false, true})
    for (const bool within : {false, true})  // the same call, or a later one
      for (const bool ignores : {false, true})
        for (size_t cut = kStep; cut <= kA.size(); cut += kStep) {
          SCOPED_TRACE(
              fmt::format("{} hash {} within {} ignores {}", cut, with_hash, within, ignores));
          forget();
          hub.files[kName] = {kA, kTagA};
          hub.cut_at = cut;
          hub.ignores_if_range = ignores;
          hub.first = nullptr;
          const auto change = [&] {
            hub.files[kName] = {kB, kTagB};
            hub.cut_at.reset();
          };
          options.attempts = within ? 3 : 1;
          if (within)
            hub.first = [&, n = 0](const Request&) mutable -> std::optional<Response> {
              if (++n == 2) change();
              return {};
            };
          // with a hash, this listing is of the newer version from the start
          Result<void> done = load(with_hash && within ? hashed(kB)
                                   : with_hash         ? hashed(kA)
                                                       : plain(kA));
          if (!within) {
            ASSERT_FALSE(done);
            change();
            done = load(with_hash ? hashed(kB) : plain(kB));
          }
          ASSERT_TRUE(done) << done.error().text;
          EXPECT_EQ(content(target), kB);
          EXPECT_EQ(read_record(target)->etag, kTagB);
          expect_clean(true);
        }
}

TEST_F(Downloads, ACorruptByteIsFoundAndRemoved) {
  for (size_t at = 4; at < kA.size(); at += kStep) {
    forget();
    hub.corrupt_at = at;
    refused(hashed(kA), ErrorCode::BadFile, "damaged on its way");
    expect_clean(false);
    hub.corrupt_at.reset();
    ASSERT_TRUE(load(hashed(kA)));
    EXPECT_EQ(content(target), kA);
  }
  forget();  // on the disk, between two calls
  hub.cut_at = 3 * kStep;
  ASSERT_FALSE(load(hashed(kA)));
  std::string part = content(target.string() + ".part");
  part[kStep] = char(part[kStep] ^ 1);
  std::ofstream(target.string() + ".part", std::ios::binary) << part;
  hub.cut_at.reset();
  refused(hashed(kA), ErrorCode::BadFile, "damaged on its way");
  expect_clean(false);
}

TEST_F(Downloads, ATokenStaysWithTheHub) {
  FakeHub elsewhere;
  elsewhere.files[kName] = {kA, "\"of-the-cdn\""};
  hub.redirect_to = elsewhere.server.url();
  http.token = "hf_secret";
  elsewhere.cut_at = 2 * kStep;
  ASSERT_FALSE(load(plain(kA)));
  elsewhere.cut_at.reset();
  const auto done = load(plain(kA));  // the hash is the hub's word on the way
  ASSERT_TRUE(done) << done.error().text;
  EXPECT_EQ(content(target), kA);
  for (const Request& request : hub.file_requests())
    EXPECT_EQ(request.header("Authorization"), "Bearer hf_secret");
  const auto there = elsewhere.file_requests();
  ASSERT_EQ(there.size(), 2u);
  for (const Request& request : there) EXPECT_EQ(request.header("Authorization"), "");
  EXPECT_EQ(there[1].header("Range"), "bytes=8192-");
  EXPECT_EQ(there[1].header("If-Range"), "\"of-the-cdn\"");
  EXPECT_EQ(said.find("secret"), std::string::npos);

  forget();
  elsewhere.corrupt_at = 5 * kStep;
  refused(plain(kA), ErrorCode::BadFile, "damaged on its way");
  forget();
  hub.redirect_to = "file:///etc/passwd?";
  refused(plain(kA), ErrorCode::Io, "no address of the web");
  hub.redirect_to = hub.server.url();
  refused(plain(kA), ErrorCode::Io, "redirects");
}

TEST_F(Downloads, AVersionOnTheWayCountsForMoreThanTheList) {
  FakeHub elsewhere;
  elsewhere.files[kName] = {kA, kTagA};
  hub.redirect_to = elsewhere.server.url();
  elsewhere.cut_at = 2 * kStep;
  ASSERT_FALSE(load(hashed(kA)));
  const std::string longer = kB + kB.substr(4);
  hub.files[kName] = {longer, kTagB};  // after it was listed
  elsewhere.files[kName] = {longer, kTagB};
  elsewhere.cut_at.reset();
  const auto done = load(hashed(kA));
  ASSERT_TRUE(done) << done.error().text;
  EXPECT_EQ(content(target), longer);
  EXPECT_EQ(read_record(target)->sha256, test::sha256_of(longer));
}

TEST_F(Downloads, LiesAreNotBelieved) {
  refused({kName, kA.size() + 1, "", ""}, ErrorCode::BadFile, "announces");
  refused({kName, uint64_t(1) << 62, "", ""}, ErrorCode::Io, "make room");
  const auto answers = [&](const Response& response) {
    forget();
    hub.first = [=](const Request&) { return std::optional<Response>(response); };
  };
  answers({test::http("200 OK", "Content-Type: text/html\r\n", "<html>please log in</html>")});
  refused({kName, std::nullopt, "", ""}, ErrorCode::BadFile, "no GGUF");
  expect_clean(false);
  answers({test::http("200 OK", "", kA), false, 1'000'000});  // some 50 GB without an end
  refused(plain(kA), ErrorCode::BadFile, "more bytes");
  expect_clean(false);
  answers({test::http("200 OK", "", "")});
  refused({kName, std::nullopt, "", ""}, ErrorCode::BadFile, "empty");
  answers({test::http("302 Found", "", std::string(kStep, 'x')), false, 100});
  refused(plain(kA), ErrorCode::Io, "");
  answers({"nonsense\r\n\r\n"});
  refused(plain(kA), ErrorCode::Io, "127.0.0.1");
  answers({test::http("200 OK", "X-Filler: " + std::string(200'000, 'x') + "\r\n", kA)});
  refused(plain(kA), ErrorCode::Io, "127.0.0.1");
  std::string filler;
  for (int i = 0; i < 4000; ++i) filler += "X-Filler: " + std::string(100, 'x') + "\r\n";
  answers({test::http("200 OK", filler, kA)});
  refused(plain(kA), ErrorCode::Io, "KiB of headers");
}

TEST_F(Downloads, RangesThatAreNotWhatWasAsked) {
  for (const char* range : {"bytes 0-9/100", "bytes 4097-5000/5001", "nonsense", ""}) {
    forget();
    hub.first = nullptr;
    hub.cut_at = 2 * kStep;
    ASSERT_FALSE(load(hashed(kA)));
    hub.cut_at.reset();
    hub.first = [&](const Request& request) -> std::optional<Response> {
      if (request.header("Range").empty()) return {};
      return Response{
          test::http("206 Partial Content", fmt::format("Content-Range: {}\r\n", range), kB)};
    };
    const auto done = load(hashed(kA));
    ASSERT_TRUE(done) << range << ": " << done.error().text;
    EXPECT_EQ(content(target), kA);
  }
  forget();
  hub.first = nullptr;
  hub.ignores_range = true;
  hub.cut_at = 2 * kStep;
  ASSERT_FALSE(load(hashed(kA)));
  hub.cut_at.reset();
  ASSERT_TRUE(load(hashed(kA)));
  EXPECT_EQ(content(target), kA);
  forget();  // a part that is longer than what the hub has now
  hub.ignores_range = false;
  hub.cut_at = 8 * kStep;
  ASSERT_FALSE(load({kName, std::nullopt, "", ""}));
  hub.cut_at.reset();
  hub.files[kName] = {kB.substr(0, 2 * kStep), kTagA};
  const auto shorter = load({kName, std::nullopt, "", ""});
  ASSERT_TRUE(shorter) << shorter.error().text;
  EXPECT_EQ(content(target), kB.substr(0, 2 * kStep));
}

TEST_F(Downloads, RefusalsSayWhatToDo) {
  struct Row {
    const char* status;
    const char* token;
    const char* words;
  };
  for (const Row& row :
       {Row{"401 Unauthorized", "", "set HF_TOKEN"},
        Row{"401 Unauthorized", "hf_x", "does not accept HF_TOKEN"},
        Row{"403 Forbidden", "hf_x", "accept the model's terms"},
        Row{"404 Not Found", "", "nothing of that name"}, Row{"429 Too Many Requests", "", "wait"},
        Row{"503 Unavailable", "", "try again later"}, Row{"204 No Content", "", "unexpected"}}) {
    http.token = row.token;
    hub.first = [&](const Request&) {
      Response response{test::http(row.status, "X-Error-Message: gated \x1b[31m\r\n", "no")};
      return std::optional<Response>(std::move(response));
    };
    refused(hashed(kA),
            std::string(row.status).starts_with("404") ? ErrorCode::NotFound : ErrorCode::Io,
            row.words);
    expect_clean(false);
  }
  hub.first = [n = 0](const Request&) mutable -> std::optional<Response> {
    if (++n < 3) return Response{test::http("503 Unavailable", "", "")};
    return {};
  };
  options.attempts = 3;
  EXPECT_TRUE(load(hashed(kA))) << "what passes is tried again";
}

TEST_F(Downloads, AStallEndsAndIsKept) {
  hub.cut_at = 1000;  // libcurl takes the mean of 5 s: fewer than it wants of one
  hub.stalls = true;
  http.stall_seconds = 1;
  refused(hashed(kA), ErrorCode::Io, "less than 1 KiB/s for 1 s");
  EXPECT_EQ(fs::file_size(target.string() + ".part"), 1000u);
}

TEST_F(Downloads, CancelledOnesAreKept) {
  hub.cut_at = 5 * kStep;
  hub.stalls = true;
  uint64_t seen = 0;
  options.progress = [&](Phase, uint64_t done, uint64_t total) {
    seen = done;
    EXPECT_EQ(total, kA.size());
  };
  http.go_on = [&] { return seen < 5 * kStep; };
  refused(hashed(kA), ErrorCode::Cancelled, "20480 bytes are kept");
  http.go_on = nullptr;
  hub.cut_at.reset();
  hub.stalls = false;
  ASSERT_TRUE(load(hashed(kA)));
  EXPECT_EQ(hub.file_requests().back().header("Range"), "bytes=20480-");
  EXPECT_EQ(content(target), kA);
}

TEST_F(Downloads, TwoAtOnceLoadItOnce) {
  hub.first = [](const Request&) -> std::optional<Response> {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    return {};
  };
  options.say = nullptr;
  Result<void> other;
  std::thread thread([&] { other = load(hashed(kA)); });
  const auto one = load(hashed(kA));
  thread.join();
  EXPECT_TRUE(one) << one.error().text;
  EXPECT_TRUE(other) << other.error().text;
  EXPECT_EQ(content(target), kA);
  expect_clean(true);
  EXPECT_EQ(hub.file_requests().size(), 1u);
}

TEST_F(Downloads, WhatIsHereIsNotLoaded) {
  ASSERT_TRUE(load(hashed(kA)));
  ASSERT_TRUE(load(hashed(kA)));
  EXPECT_EQ(hub.file_requests().size(), 1u);
  fs::remove(record_path(target));  // a file that was put there by other means is looked at
  ASSERT_TRUE(load(hashed(kA)));
  EXPECT_EQ(hub.file_requests().size(), 0u);
  expect_clean(true);
  fs::resize_file(target, kStep);  // and one that lost its end is not taken for whole
  EXPECT_FALSE(is_whole(target));
  ASSERT_TRUE(load(hashed(kA)));
  EXPECT_EQ(content(target), kA);
}

TEST_F(Downloads, FoldersThatCannotBe) {
  fs::create_directories(folder);
  std::ofstream(folder / "user") << "a file where a folder is to be";
  refused(hashed(kA), ErrorCode::Io, "cannot create the folder");
}

}  // namespace
}  // namespace pumice::hub
