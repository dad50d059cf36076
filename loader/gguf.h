// A model file in the GGUF container, versions 2 and 3, in one part or many: validated metadata and
// tensor table. Weights stay in the mapped file until somebody reads them.
//
// Opening validates everything that later stages rely on (see tensor_info.h and metadata.h): a
// GgufFile whose tensors lie outside its bytes, overlap, or have a type without codec cannot exist.
// What keys mean (hyper-parameters, vocabularies) is checked by the stages that read them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "loader/byte_source.h"
#include "loader/metadata.h"
#include "loader/tensor_info.h"

namespace pumice {

/// Hard caps, far above any real model, that bound time and memory on a hostile one.
struct GgufLimits {
  static constexpr uint64_t kKeys = 65'536;
  static constexpr uint64_t kTensors = 65'536;  ///< over all parts
  static constexpr uint64_t kKeyBytes = 65'535;
  static constexpr uint64_t kStringBytes = 16u << 20;
  static constexpr uint64_t kArrayElements = 16u << 20;
  static constexpr uint64_t kTensorNameBytes = 63;
  static constexpr uint64_t kDims = 4;
  static constexpr uint64_t kAlignment = 4096;
  static constexpr uint64_t kParts = 1024;
};

class GgufFile {
 public:
  struct State;  ///< defined in the loader; only open_gguf can make one
  explicit GgufFile(std::unique_ptr<const State> state);
  ~GgufFile();
  GgufFile(const GgufFile&) = delete;
  GgufFile& operator=(const GgufFile&) = delete;

  [[nodiscard]] const std::string& name() const;  ///< of the first part, for messages
  [[nodiscard]] uint32_t version() const;
  [[nodiscard]] uint32_t n_parts() const;
  [[nodiscard]] uint64_t file_bytes() const;    ///< sum over the parts
  [[nodiscard]] uint64_t tensor_bytes() const;  ///< sum over the tensors
  [[nodiscard]] const Metadata& metadata() const;

  /// File order, parts one after another.
  [[nodiscard]] std::span<const TensorInfo> tensors() const;

  [[nodiscard]] const TensorInfo* find_tensor(std::string_view name) const;  ///< or null

  /// The tensor if it is there with this shape, shape[0] first; trailing ones may be left out on
  /// either side. Otherwise NotFound or BadFile with the expected and the actual shape.
  [[nodiscard]] Result<const TensorInfo*> require_tensor(std::string_view name,
                                                         std::span<const uint64_t> shape) const;
  [[nodiscard]] Result<const TensorInfo*> require_tensor(
      std::string_view name, std::initializer_list<uint64_t> shape) const {
    return require_tensor(name, std::span(shape.begin(), shape.size()));
  }

  /// Copies bytes [offset, offset + into.size()) of a tensor of this file. Prefer it to
  /// TensorInfo::data for weights: see mapped_file.h.
  [[nodiscard]] Result<void> read(const TensorInfo& tensor, uint64_t offset,
                                  std::span<std::byte> into) const;

 private:
  std::unique_ptr<const State> state_;
};

/// Opens a model by path; of a split model (NAME-00002-of-00005.gguf) any part will do and the
/// others are found beside it.
[[nodiscard]] Result<std::shared_ptr<const GgufFile>> open_gguf(const std::string& path);

/// The files from which open_gguf(path) read the model, in order of its parts.
[[nodiscard]] std::vector<std::string> part_paths(const std::string& path, const GgufFile& file);

/// The same from bytes, for example of a pak. The second form takes the parts in order.
[[nodiscard]] Result<std::shared_ptr<const GgufFile>> open_gguf(
    std::shared_ptr<const ByteSource> source);
[[nodiscard]] Result<std::shared_ptr<const GgufFile>> open_gguf(
    std::vector<std::shared_ptr<const ByteSource>> parts);

}  // namespace pumice
