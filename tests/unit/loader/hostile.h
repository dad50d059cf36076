// The hostile corpus: files that broke loaders, each with the error that we answer.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace pumice::test {

/// One file. The classes are those of the names: H header, K key/value, A alignment, T tensors,
/// W weights' values (found by check_finite, not by opening).
struct HostileFile {
  std::string name;
  std::vector<std::byte> bytes;
  std::optional<ErrorCode> code;  ///< none: the file must open and its weights be finite
  std::string word;               ///< part of the error's text
};

[[nodiscard]] std::vector<HostileFile> hostile_files();

// The tables it is made of, one file each.
void add_hostile_headers(std::vector<HostileFile>& out);
void add_hostile_values(std::vector<HostileFile>& out);
void add_hostile_tensors(std::vector<HostileFile>& out);
void add_hostile_weights(std::vector<HostileFile>& out);

}  // namespace pumice::test
