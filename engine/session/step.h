// A step of the model as the engine works on it: what goes in, what comes out, and where it stands
// between two slices.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "engine/schedule/lower.h"
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
  double planned_us = 0;  ///< what that had been estimated at; at most the budget
  uint32_t segments = 0;  ///< pieces of work (dispatches, or rows of one) that ran
};

enum class StepPhase : uint8_t {
  None,      ///< no step
  Running,   ///< some of its work is left
  Finished,  ///< its result waits to be taken
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
  vk::CommandId command = 0;

  std::vector<Sampled> sampled;
};

}  // namespace pumice
