// A step of the model as the engine works on it: what goes in, what comes out, and where it stands
// between two slices.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "engine/schedule/lower.h"
#include "engine/schedule/pacer.h"
#include "engine/vk/device.h"

namespace pumice {

/// One column of a step: a token appended to a sequence.
struct StepToken {
  uint32_t sequence = 0;
  int32_t token = 0;
};

struct Sampled {
  int32_t token = -1;
  uint32_t logits_hash = 0;
};

/// A step runs to its end in one submission per chunk.
inline constexpr double kNoBudget = std::numeric_limits<double>::infinity();

/// What a call of advance() did.
struct Progress {
  bool finished = false;  ///< the step is complete: take() gives what it sampled
  /// Microseconds of the call that the device worked, by its timestamps; by the host's clock where
  /// it has none.
  double gpu_us = 0;
  /// What the call had been estimated at, waiting included: over the budget only where it ran a
  /// single work group, or a single dispatch that cannot be cut, which alone takes longer.
  double planned_us = 0;
  uint32_t segments = 0;  ///< pieces of work (dispatches, or rows of one) that ran
};

enum class StepPhase : uint8_t {
  None,      ///< no step
  Running,   ///< some of its work is left
  Finished,  ///< its result waits to be taken
};

/// The recorded list of one step shape.
struct StepCommand {
  vk::CommandId id = 0;
  PacedList list;
  double whole_us = 0;    ///< what its last run took, in one submission or in all its parts
  double parts_us = 0;    ///< what the parts of the run in progress took so far
  bool in_parts = false;  ///< it has run in parts since

  [[nodiscard]] Place end() const { return {uint32_t(list.classes.size()), 0}; }
};

/// What record() wrote into a host's command buffer.
struct HostSlice {
  uint64_t ticket = 0;    ///< to be reported; 0: nothing was written, the step waits for reports
  double planned_us = 0;  ///< device time that it is estimated at
  uint32_t segments = 0;  ///< pieces of work
};

/// A slice that the host has not reported yet, or that waits for an older one's report.
struct SliceOut {
  enum class State : uint8_t { Out, Done, Discarded };
  uint64_t ticket = 0;
  vk::PartId part = 0;
  const StepCommand* command = nullptr;
  Place from;
  SlicePlan plan;
  State state = State::Out;
};

/// The step in progress.
struct StepWork {
  StepPhase phase = StepPhase::None;
  uint32_t sequence = 0;        ///< of `tokens`
  std::vector<int32_t> tokens;  ///< taken on by begin
  size_t next = 0;              ///< the first of them that no chunk has appended yet
  Ending last_ending = Ending::Sample;

  // The chunk at hand: one run through the model.
  std::vector<StepToken> columns;
  std::vector<uint32_t> outputs;  ///< columns whose logits are kept
  Ending ending = Ending::None;
  StepCommand* command = nullptr;
  Place at;  ///< how far the command has run, or been written for a host to run

  std::vector<Sampled> sampled;
};

}  // namespace pumice
