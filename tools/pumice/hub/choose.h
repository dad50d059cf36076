// Which files of a repository are the model that a user means. Pure functions of a listing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace pumice::hub {

/// A file as a hub lists it, or as it lies in the cache.
struct HubFile {
  std::string path;  ///< from the root of the repository; safe (names.h)
  std::optional<uint64_t> size;
  std::string sha256;  ///< 64 small hexadecimal digits, or empty where the hub gives none
  std::string oid;     ///< the hub's id of this version of the file, or empty
};

/// The model in a quantisation, as its parts in order (one, unless it is split). Case does not
/// matter. Without a quantisation: Q4_K_M, else another Q4, else Q8_0, else the first.
/// Projectors and importance matrices are no models; draft heads only where there is nothing else.
/// NotFound names what there is; `repository` is for that message.
[[nodiscard]] Result<std::vector<HubFile>> choose_quant(const std::vector<HubFile>& files,
                                                        std::string_view quant,
                                                        std::string_view repository);

/// The file of this path (of a split model, any part) with its other parts.
[[nodiscard]] Result<std::vector<HubFile>> choose_path(const std::vector<HubFile>& files,
                                                       std::string_view path,
                                                       std::string_view repository);

}  // namespace pumice::hub
