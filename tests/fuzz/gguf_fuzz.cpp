// libFuzzer target of the model loader: any bytes give a model that keeps its promises or one clear
// line of error. Everything that opening promises is then used: tensors, metadata, decoders.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <vector>

#include "loader/codec.h"
#include "loader/gguf.h"

namespace {

using namespace pumice;

void require(bool promise, const char* what) {
  if (promise) return;
  std::fprintf(stderr, "broken promise: %s\n", what);
  std::abort();
}

void check_error(const Error& error) {
  require(!error.text.empty(), "an error has words");
  for (const char c : error.text) require(uint8_t(c) >= 0x20, "an error is one printable line");
}

/// The getters of every type on every key: each gives a value or an error.
void use_metadata(const Metadata& metadata) {
  uint64_t seen = 0;
  const auto touch = [&](const auto& result) {
    if (!result) check_error(result.error());
  };
  const auto touch_all = [&](const auto& result) {
    if (!result) return check_error(result.error());
    for (const auto& value : *result) seen += sizeof(value) + (value == value);
  };
  for (const MetadataEntry& entry : metadata.entries()) {
    require(metadata.find(entry.key) == &entry, "a key is found where it is");
    touch(metadata.get_u32(entry.key, 1, 512));
    touch(metadata.get_u64(entry.key));
    touch(metadata.get_i32(entry.key));
    touch(metadata.get_f32(entry.key));
    touch(metadata.get_bool(entry.key));
    touch(metadata.get_string(entry.key));
    touch_all(metadata.get_strings(entry.key));
    touch_all(metadata.get_f32s(entry.key));
    touch_all(metadata.get_i32s(entry.key));
    touch_all(metadata.get_u32s(entry.key));
    touch_all(metadata.get_u8s(entry.key));
    touch_all(metadata.get_flags(entry.key));
    touch_all(metadata.get_u32_per_layer(entry.key, 3));
    seen += value_text(entry).size();
  }
  static volatile uint64_t sink = 0;
  sink = sink + seen;
}

void use_tensor(const GgufFile& file, const TensorInfo& tensor, std::span<const std::byte> bytes) {
  require(file.find_tensor(tensor.name) == &tensor, "a tensor is found where it is");
  require(file.require_tensor(tensor.name, tensor.shape).has_value(), "its shape is its shape");
  require(tensor.data.size() == tensor.n_bytes, "data has n_bytes");
  require(tensor.data.data() >= bytes.data() &&
              tensor.data.data() + tensor.n_bytes <= bytes.data() + bytes.size(),
          "data is in the file");
  require(tensor.n_rows() * tensor.row_bytes() == tensor.n_bytes, "rows add up");
  const auto finite = check_finite(tensor);
  if (!finite) check_error(finite.error());
  if (tensor.shape[0] > 1u << 20) return;
  std::vector<float> row(tensor.shape[0]);
  decode_rows(tensor, tensor.n_rows() - 1, 1, row.data());
  if (!finite) return;
  for (const float weight : row) require(weight - weight == 0, "finite scales give finite weights");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  const auto file = open_gguf(borrow_memory("input", bytes));
  if (!file) {
    check_error(file.error());
    return 0;
  }
  use_metadata((*file)->metadata());
  for (const TensorInfo& tensor : (*file)->tensors()) use_tensor(**file, tensor, bytes);
  return 0;
}
