// Owns the state of a download: bytes on the disk, their hash, and the version they belong to.
#include "tools/pumice/hub/download.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <system_error>
#include <thread>
#include <vector>

#include "engine/base/platform_file.h"
#include "tools/pumice/hub/record.h"
#include "tools/pumice/hub/sha256.h"

namespace pumice::hub {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr uint64_t kProgress = 1 << 20;  // bytes; a try that brings them was worth it
constexpr int kMostRestarts = 3;         // of files that change while they come
constexpr uint64_t kSpared = 64 << 20;   // bytes that a download leaves on the disk
constexpr milliseconds kLongestWait{30'000};
constexpr milliseconds kLook{100};  // between looks at a lock or at Ctrl-C
constexpr std::string_view kMagic = "GGUF";
constexpr const char* kElsewhere = "XDG_CACHE_HOME names another place";

class Download {
 public:
  Download(Http& http, const std::string& url, const HubFile& file, const fs::path& target,
           const DownloadOptions& options)
      : http_(http), url_(url), file_(file), target_(target), options_(options) {}

  Result<void> run();

 private:
  Result<void> run_locked();
  Result<void> open_part();
  Result<bool> have_it_already();
  Result<void> take_up();
  Result<void> hash_part();
  Result<void> start_anew();
  Result<void> load();
  tl::expected<void, HttpError> attempt();
  Result<void> on_head(const HttpHead& head);
  Result<void> settle_version(const HttpHead& head);
  Result<void> on_bytes(std::span<const std::byte> bytes);
  Result<void> finish();
  Result<void> pause(milliseconds time) const;
  void progress(Phase phase, uint64_t done) const {
    if (options_.progress) options_.progress(phase, done, file_.size.value_or(0));
  }
  void say(std::string_view line) const {
    if (options_.say) options_.say(line);
  }
  [[nodiscard]] bool asked_to_stop() const {
    return http_.options().go_on && !http_.options().go_on();
  }
  [[nodiscard]] bool is_all_here() const { return file_.size && part_->size() == *file_.size; }

  Http& http_;
  const std::string& url_;
  HubFile file_;  ///< what the hub said last
  const fs::path& target_;
  const DownloadOptions& options_;
  std::unique_ptr<NewFile> part_;
  Record record_;       ///< of the bytes in part_
  Sha256 hash_;         ///< of the bytes in part_
  bool again_ = false;  ///< the attempt ended because the version is another one
  int restarts_ = 0;
};

tl::unexpected<Error> cancelled() {
  return fail(ErrorCode::Cancelled, "interrupted");
}

Result<void> Download::run() {
  PUMICE_TRY(open_part());
  Result<void> done = run_locked();
  if (!done && part_->size() == 0) remove_record(part_path(target_));
  return done;
}

Result<void> Download::run_locked() {
  PUMICE_TRY_ASSIGN(const bool have_it, have_it_already());
  if (have_it) return {};
  PUMICE_TRY(take_up());
  if (file_.size) PUMICE_TRY(check_room(target_.parent_path(), *file_.size - part_->size()));
  PUMICE_TRY(load());
  return finish();
}

/// Waits for a process that is at the same file.
Result<void> Download::open_part() {
  std::error_code error;
  fs::create_directories(target_.parent_path(), error);
  if (error)
    return fail(ErrorCode::Io, "{}: cannot create the folder: {}; {}",
                target_.parent_path().string(), error.message(), kElsewhere);
  for (bool said = false;; said = true) {
    auto part = NewFile::resume(target_);
    if (!part) return fail(part.error().code, "{}; {}", part.error().text, kElsewhere);
    part_ = std::move(*part);
    if (part_) return {};
    if (!said) say(fmt::format("{}: another process is downloading it; waiting", file_.path));
    PUMICE_TRY(pause(kLook));
  }
}

/// Another process may have brought it while we waited, or its record got lost.
Result<bool> Download::have_it_already() {
  if (is_current(target_, file_)) return true;
  std::error_code error;
  const uint64_t size = fs::file_size(target_, error);
  if (error || file_.sha256.empty() || file_.size != size) return false;
  std::ifstream in(target_, std::ios::binary);
  std::vector<char> buffer(kProgress);
  for (uint64_t done = 0; done < size;) {
    if (asked_to_stop()) return cancelled();
    in.read(buffer.data(), std::streamsize(buffer.size()));
    const size_t got = size_t(in.gcount());
    if (got == 0) return false;
    hash_.add(std::as_bytes(std::span(buffer)).first(got));
    progress(Phase::Checking, done += got);
  }
  if (hash_.finish() != file_.sha256) return false;
  PUMICE_TRY(write_record(target_, {"", file_.oid, file_.sha256, size}));
  return true;
}

/// Keeps the bytes of an earlier try where they are of the version that is wanted now.
Result<void> Download::take_up() {
  const auto record = read_record(part_path(target_));
  const bool same =
      record && (file_.sha256.empty() ? !record->etag.empty() && record->oid == file_.oid
                                      : record->sha256 == file_.sha256);
  const bool fits = !file_.size || part_->size() <= *file_.size;
  if (part_->size() == 0 || !same || !fits) return start_anew();
  record_ = *record;
  return hash_part();
}

Result<void> Download::hash_part() {
  hash_.restart();
  std::vector<std::byte> buffer(kProgress);
  for (uint64_t done = 0; done < part_->size();) {
    if (asked_to_stop()) return cancelled();
    const auto chunk =
        std::span(buffer).first(size_t(std::min<uint64_t>(buffer.size(), part_->size() - done)));
    PUMICE_TRY(part_->read(done, chunk));
    hash_.add(chunk);
    progress(Phase::Checking, done += chunk.size());
  }
  return {};
}

Result<void> Download::start_anew() {
  hash_.restart();
  record_ = Record();
  remove_record(part_path(target_));  // before the bytes of another version come
  return part_->restart();
}

/// Tries until all bytes are here, or until it makes no sense any more.
Result<void> Download::load() {
  milliseconds wait = options_.first_wait;
  for (int failures = 0; !is_all_here();) {
    const uint64_t before = part_->size();
    again_ = false;
    const auto done = attempt();
    if (done) return {};
    const HttpError& error = done.error();
    if (again_ && ++restarts_ <= kMostRestarts) continue;
    const bool much = part_->size() >= before + kProgress;
    failures = much ? 1 : failures + 1;
    if (much) wait = options_.first_wait;
    if (!error.passing || failures >= options_.attempts) {
      Error last = error.error;
      if (part_->size() > 0 && (last.code == ErrorCode::Io || last.code == ErrorCode::Cancelled))
        last.text +=
            fmt::format(" ({} bytes are kept: the same command goes on from there)", part_->size());
      return tl::unexpected<Error>(std::move(last));
    }
    say(fmt::format("{}; trying again", error.error.text));
    PUMICE_TRY(pause(wait));
    wait = std::min(2 * wait, kLongestWait);
  }
  return {};
}

tl::expected<void, HttpError> Download::attempt() {
  const auto failed = [](ErrorCode code, std::string text, bool passing) {
    return tl::unexpected<HttpError>({{code, std::move(text)}, passing});
  };
  const auto restarted = [&]() -> tl::expected<void, HttpError> {
    if (auto empty = start_anew(); !empty)
      return failed(empty.error().code, std::move(empty.error().text), false);
    return {};
  };
  const bool bound = !record_.etag.empty() || !file_.sha256.empty();
  if (part_->size() > 0 && !bound)
    if (auto empty = restarted(); !empty) return empty;
  HttpGet get{url_, file_.path, part_->size()};
  if (get.first_byte > 0) get.if_range = record_.etag;
  get.on_head = [&](const HttpHead& head) { return on_head(head); };
  get.on_bytes = [&](std::span<const std::byte> bytes) { return on_bytes(bytes); };
  auto head = http_.get(get);
  if (!head) {
    if (head.error().status == 416 && get.first_byte > 0) {  // of a version that is gone
      again_ = true;
      if (auto empty = restarted(); !empty) return empty;
    }
    return tl::unexpected<HttpError>(std::move(head.error()));
  }
  if (file_.size && part_->size() < *file_.size)
    return failed(ErrorCode::Io,
                  fmt::format("{}: {} ended after {} of {} bytes", file_.path, head->host,
                              part_->size(), *file_.size),
                  true);
  return {};
}

/// Decides from the head whether the bytes that follow go behind those that are here.
Result<void> Download::on_head(const HttpHead& head) {
  const bool goes_on = head.status == 206;
  PUMICE_TRY(settle_version(head));
  const std::optional<uint64_t> total = goes_on ? head.total : head.length;
  const bool other =
      goes_on && !record_.etag.empty() && !head.etag.empty() && head.etag != record_.etag;
  const bool elsewhere = goes_on && head.first_byte != part_->size();
  if (other || elsewhere) {  // asked with If-Range, the host should have sent all of it
    again_ = true;
    PUMICE_TRY(start_anew());
    return fail(ErrorCode::Io, "{}: {} goes on with another version than it began with", file_.path,
                head.host);
  }
  if (!goes_on && part_->size() > 0) {
    if (++restarts_ > kMostRestarts)
      return fail(ErrorCode::Io, "{}: keeps changing while it comes; try again later", file_.path);
    say(fmt::format("{}: changed at the hub, or its host cannot go on; from the start",
                    file_.path));
    PUMICE_TRY(start_anew());
  }
  if (total && file_.size && *total != *file_.size)
    return fail(ErrorCode::BadFile,
                "{}: {} announces {} bytes where the hub lists {}; if it was "
                "changed just now, try again",
                file_.path, head.host, *total, *file_.size);
  if (!file_.size) file_.size = total;
  if (goes_on) return {};
  if (file_.size) PUMICE_TRY(check_room(target_.parent_path(), *file_.size));
  record_ = {head.etag, file_.oid, file_.sha256, file_.size.value_or(0)};
  return write_record(part_path(target_), record_);
}

/// The hub's last word on the file, where it is newer than its list.
Result<void> Download::settle_version(const HttpHead& head) {
  if (head.linked_sha256.empty() || head.linked_sha256 == file_.sha256) return {};
  const bool was_listed = !file_.sha256.empty();
  if (was_listed && options_.only_listed)
    return fail(ErrorCode::BadFile, "{}: changed at the hub since it was listed; try again",
                file_.path);
  file_.sha256 = head.linked_sha256;
  file_.size = head.linked_size;
  if (was_listed) file_.oid.clear();  // of the version before
  if (part_->size() == 0 || record_.sha256 == file_.sha256) return {};
  again_ = true;
  PUMICE_TRY(start_anew());
  return fail(ErrorCode::Io, "{}: changed at the hub while it came", file_.path);
}

Result<void> Download::on_bytes(std::span<const std::byte> bytes) {
  const uint64_t size = part_->size() + bytes.size();
  if (file_.size && size > *file_.size) {
    PUMICE_TRY(start_anew());  // nobody knows which of them are the file's
    return fail(ErrorCode::BadFile, "{}: more bytes come than the {} that were announced",
                file_.path, *file_.size);
  }
  if (part_->size() == 0 && bytes.size() >= kMagic.size() &&
      std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0)
    return fail(ErrorCode::BadFile,
                "{}: what comes is no GGUF file; does a network's log-in page answer in its place?",
                file_.path);
  if (!file_.size && size % (16 * kProgress) < bytes.size())
    PUMICE_TRY(check_room(target_.parent_path(), 0));
  hash_.add(bytes);
  PUMICE_TRY(part_->write(bytes));
  progress(Phase::Loading, part_->size());
  return {};
}

Result<void> Download::finish() {
  const fs::path part = part_path(target_);
  const std::string found = hash_.finish();
  const std::string& expected = file_.sha256;
  const uint64_t size = part_->size();
  if (size == 0 || found.empty() || (!expected.empty() && found != expected)) {
    PUMICE_TRY(start_anew());
    if (size == 0) return fail(ErrorCode::BadFile, "{}: the hub's file is empty", file_.path);
    return fail(ErrorCode::BadFile,
                "{}: damaged on its way: its SHA-256 is {}, the hub's {}; removed, try again",
                file_.path, found, expected);
  }
  PUMICE_TRY(part_->finish());
  PUMICE_TRY(write_record(target_, {record_.etag, file_.oid, found, size}));
  remove_record(part);
  return {};
}

Result<void> Download::pause(milliseconds time) const {
  const auto end = std::chrono::steady_clock::now() + time;
  do {
    if (asked_to_stop()) return cancelled();
    std::this_thread::sleep_for(std::min(time, kLook));
  } while (std::chrono::steady_clock::now() < end);
  return {};
}

}  // namespace

Result<void> download(Http& http, const std::string& url, const HubFile& file,
                      const fs::path& target, const DownloadOptions& options) {
  return Download(http, url, file, target, options).run();
}

Result<void> check_room(const fs::path& folder, uint64_t bytes) {
  const uint64_t room = free_bytes(folder);
  if (room == UINT64_MAX || (bytes <= room && room - bytes >= kSpared)) return {};
  return fail(ErrorCode::Io,
              "{}: {} more bytes are needed, {} are free ({} stay so); make room, or {}",
              folder.string(), bytes, room, kSpared, kElsewhere);
}

}  // namespace pumice::hub
