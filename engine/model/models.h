// The rows of the table of architectures, one per file of this folder.
#pragma once

#include "engine/model/architectures.h"

namespace pumice::model {

extern const Architecture kLlama, kQwen2, kQwen3, kGemma2, kGemma3, kPhi3;

}  // namespace pumice::model
