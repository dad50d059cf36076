// What -hf asks of the hub library: the environment, the cache, a line of progress.
#include "model_source.h"

#ifdef PUMICE_HUB

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "engine/base/platform.h"
#include "hub/hub.h"
#include "output.h"

namespace pumice::command {
namespace {

const char* variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

/// One line on a terminal's stderr; nothing where stderr is a file.
class ProgressLine {
 public:
  ~ProgressLine() { clear(); }

  void show(hub::Phase phase, uint64_t done, uint64_t total) {
    const Clock::time_point now = Clock::now();
    if (!terminal_ || now - drawn_ < std::chrono::milliseconds(100)) return;
    drawn_ = now;
    shown_ = true;
    measure(phase, done, now);
    std::string line = total ? bar(done, total) : bytes_text(done);
    if (phase == hub::Phase::Checking) line += ", checking";
    if (phase == hub::Phase::Loading && rate_ > 0) {
      line += fmt::format(", {}/s", bytes_text(uint64_t(rate_)));
      if (total > done) line += ", " + time_text(double(total - done) / rate_) + " left";
    }
    std::fprintf(stderr, "\r%-79.79s", line.c_str());
  }

  void clear() {
    if (shown_) std::fprintf(stderr, "\r%79s\r", "");
    shown_ = false;
  }

 private:
  using Clock = std::chrono::steady_clock;

  /// Bytes per second, smoothed over some ten measurements a second apart.
  void measure(hub::Phase phase, uint64_t done, Clock::time_point now) {
    const double seconds = std::chrono::duration<double>(now - measured_).count();
    const bool first = phase != phase_ || done < at_ || measured_ == Clock::time_point();
    if (!first && seconds < 1.0) return;
    const double speed = first ? 0.0 : double(done - at_) / seconds;
    rate_ = first || rate_ == 0 ? speed : 0.8 * rate_ + 0.2 * speed;
    phase_ = phase;
    at_ = done;
    measured_ = now;
  }

  static std::string bar(uint64_t done, uint64_t total) {
    constexpr size_t kWidth = 20;
    const double share = std::min(1.0, double(done) / double(total));
    return fmt::format("{:3.0f} % [{:<{}}] {} of {}", 100.0 * share,
                       std::string(size_t(share * kWidth), '#'), kWidth, bytes_text(done),
                       bytes_text(total));
  }

  static std::string time_text(double seconds) {
    if (seconds < 120) return fmt::format("{:.0f} s", seconds);
    return seconds < 7200 ? fmt::format("{:.0f} min", seconds / 60)
                          : fmt::format("{:.1f} h", seconds / 3600);
  }

  bool terminal_ = is_terminal(Stream::Error), shown_ = false;
  Clock::time_point drawn_{}, measured_{};
  hub::Phase phase_ = hub::Phase::Checking;
  uint64_t at_ = 0;  ///< bytes at the last measurement
  double rate_ = 0;  ///< bytes/s
};

}  // namespace

Result<std::string> download_model(const HubFlags& flags) {
  hub::ModelRequest request{{}, flags.file, flags.offline};
  PUMICE_TRY_ASSIGN(request.name, hub::parse_model_name(flags.repo));
  const std::string no_network = hub::lower_case(variable("HF_HUB_OFFLINE"));
  for (const char* yes : {"1", "on", "yes", "true"})
    request.offline = request.offline || no_network == yes;

  hub::HttpOptions http;
  const std::string_view endpoint = variable("HF_ENDPOINT");
  PUMICE_TRY_ASSIGN(http.endpoint,
                    hub::checked_endpoint(endpoint.empty() ? "https://huggingface.co" : endpoint));
  PUMICE_TRY_ASSIGN(http.token, hub::checked_token(variable("HF_TOKEN")));
  const std::filesystem::path cache = cache_folder();
  if (cache.empty())
    return fail(ErrorCode::NotFound,
                "there is no place for downloads: set XDG_CACHE_HOME or HOME to a folder");

  count_interrupts();
  http.go_on = [] { return interrupts() == 0; };
  ProgressLine line;
  hub::DownloadOptions options;
  options.progress = [&](hub::Phase phase, uint64_t done, uint64_t total) {
    line.show(phase, done, total);
  };
  options.say = [&](std::string_view text) {
    line.clear();
    complain(text);
  };
  PUMICE_TRY_ASSIGN(const std::filesystem::path path,
                    hub::fetch(request, http, cache / "hub", options));
  return path.string();
}

}  // namespace pumice::command

#else

namespace pumice::command {

Result<std::string> download_model(const HubFlags& flags) {
  return fail(ErrorCode::Unsupported,
              "-hf: this pumice was built without downloads, for want of libcurl and OpenSSL "
              "(libcurl4-openssl-dev and libssl-dev) or by PUMICE_HUB=OFF; build it again with "
              "them, or fetch {} by other means and give its file with -m",
              flags.repo);
}

}  // namespace pumice::command

#endif
