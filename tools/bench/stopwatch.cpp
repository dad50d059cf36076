#include "tools/bench/stopwatch.h"

#include <algorithm>
#include <utility>

#include "tools/bench/clock.h"

namespace pumice::bench {
namespace {

/// No dispatch is shorter, whatever noise leaves of it when an empty one is subtracted.
constexpr double kShortest = 1e-9;

/// A recorded list that is forgotten with its owner.
class Recorded {
 public:
  static Result<Recorded> create(vk::Device& device, std::span<const Dispatch> list) {
    PUMICE_TRY_ASSIGN(const vk::CommandId command, device.record(list));
    return Recorded(device, command);
  }
  Recorded(Recorded&& other) noexcept
      : device_(std::exchange(other.device_, nullptr)), command_(other.command_) {}
  Recorded& operator=(Recorded&&) = delete;
  ~Recorded() {
    if (device_ != nullptr) device_->forget(command_);
  }
  [[nodiscard]] vk::CommandId id() const { return command_; }

 private:
  Recorded(vk::Device& device, vk::CommandId command) : device_(&device), command_(command) {}
  vk::Device* device_;
  vk::CommandId command_;
};

uint64_t groups_of(const Dispatch& dispatch) {
  return uint64_t{dispatch.groups[0]} * dispatch.groups[1] * dispatch.groups[2];
}

/// At most `limit` workgroups of a dispatch: those of its first rows.
Dispatch part_of(const Dispatch& dispatch, uint64_t limit) {
  Dispatch part = dispatch;
  for (size_t axis = 0; axis < 3; ++axis) {
    part.groups[axis] = uint32_t(std::clamp<uint64_t>(limit, 1, dispatch.groups[axis]));
    limit /= dispatch.groups[axis];
  }
  return part;
}

}  // namespace

size_t timed_at_once(size_t wanted, double each, double watchdog) {
  const double fits = std::clamp(watchdog / std::max(each, kShortest), 1.0, 1e9);
  return std::min(wanted, size_t(fits));
}

const char* Stopwatch::words() const {
  return by_device_ ? "GPU timestamps" : "host clock";
}

Result<Stopwatch> Stopwatch::create(vk::Device& device) {
  Stopwatch stopwatch(device);
  PUMICE_TRY(stopwatch.measure_empty());
  return stopwatch;
}

Result<void> Stopwatch::measure_empty() {
  Dispatch nothing;
  nothing.kernel = "bench.nothing";
  constexpr size_t kMany = 65;
  const std::vector<Dispatch> list(kMany, nothing);
  PUMICE_TRY_ASSIGN(const Recorded one, Recorded::create(*device_, std::span(list).first(1)));
  PUMICE_TRY_ASSIGN(const Recorded many, Recorded::create(*device_, list));
  PUMICE_TRY(run(one.id()));
  by_device_ = bool(device_->timings(one.id()));
  std::vector<double> ones, manys;
  for (int i = 0; i < 25; ++i) {
    PUMICE_TRY_ASSIGN(const double short_time, run(one.id()));
    PUMICE_TRY_ASSIGN(const double long_time, run(many.id()));
    ones.push_back(short_time);
    manys.push_back(long_time);
  }
  const double first = summarise(ones).median, all = summarise(manys).median;
  empty_ = by_device_ ? all / kMany : std::max(0.0, (all - first) / (kMany - 1));
  submit_ = by_device_ ? 0 : std::max(0.0, first - empty_);
  return {};
}

Result<double> Stopwatch::run(vk::CommandId command) {
  const auto start = Clock::now();
  PUMICE_TRY_ASSIGN(const vk::Ticket ticket, device_->submit(command));
  PUMICE_TRY(device_->wait(ticket));
  const double wall = seconds_since(start);
  if (!by_device_) return wall;
  PUMICE_TRY_ASSIGN(const auto rows, device_->timings(command));
  double microseconds = 0;
  for (const vk::Timing& row : rows) microseconds += row.microseconds;
  return microseconds * 1e-6;
}

double Stopwatch::without_empty(double seconds, size_t dispatches) const {
  const double rest = seconds - submit_ - empty_ * double(dispatches);
  return std::max(rest / double(dispatches), kShortest);
}

Result<std::vector<double>> Stopwatch::time(std::span<const Dispatch> list, const Effort& effort) {
  PUMICE_TRY_ASSIGN(const Recorded command, Recorded::create(*device_, list));
  // A software driver compiles in the first run; a GPU raises its clock.
  for (int warm = 0; warm < 2; ++warm) PUMICE_TRY(run(command.id()));
  std::vector<double> values;
  const auto start = Clock::now();
  while (values.size() < effort.most) {
    PUMICE_TRY_ASSIGN(const double seconds, run(command.id()));
    values.push_back(without_empty(seconds, list.size()));
    const bool late = seconds_since(start) > effort.seconds;
    // Past the limit, six values are enough for an interval that means something.
    if (late && values.size() >= std::min<size_t>(effort.least, 6)) break;
    if (values.size() < effort.least || values.size() % 4 != 0) continue;
    if (relative_width(summarise(values)) < effort.interval) break;
  }
  return values;
}

Result<double> Stopwatch::estimate(const Dispatch& dispatch, double limit) {
  const uint64_t all = groups_of(dispatch);
  double estimate = 0;
  constexpr uint64_t kStep = 4;
  for (uint64_t wanted = 1;; wanted *= kStep) {
    const Dispatch part = part_of(dispatch, wanted);
    const uint64_t groups = groups_of(part);
    PUMICE_TRY_ASSIGN(const Recorded command, Recorded::create(*device_, std::span(&part, 1)));
    PUMICE_TRY(run(command.id()));  // compiles, on software drivers
    PUMICE_TRY_ASSIGN(const double seconds, run(command.id()));
    const double spent = without_empty(seconds, 1);
    estimate = spent * double(all) / double(groups);
    if (groups == all) return spent;
    // The next part takes at most kStep times as long.
    if (spent * kStep > limit) break;
  }
  if (estimate <= limit) return estimate;
  return fail(ErrorCode::BadArgument,
              "{}: {} workgroups would last about {:.1f} s, and drivers end a dispatch after "
              "{:.1f} s; use a smaller shape or fewer workgroups, or raise --watchdog",
              dispatch.label.empty() ? dispatch.kernel : dispatch.label, all, estimate, limit);
}

}  // namespace pumice::bench
