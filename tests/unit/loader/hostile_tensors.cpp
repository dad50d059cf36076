// The corpus: the tensor table (T) and the values of weights (W).
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "hostile.h"
#include "tests/support/gguf_writer.h"

namespace pumice::test {
namespace {

constexpr auto kBad = ErrorCode::BadFile;
constexpr auto kUnsupported = ErrorCode::Unsupported;
constexpr uint32_t kF32 = 0, kQ4_0 = 2, kI8 = 24;

using Dims = std::vector<uint64_t>;

std::vector<std::byte> one_tensor(TensorSpec tensor) {
  GgufWriter file;
  file.tensors.push_back(std::move(tensor));
  return file.bytes();
}

std::vector<std::byte> zeros(size_t n) {
  return std::vector<std::byte>(n);
}

void add_names(std::vector<HostileFile>& out) {
  const auto named = [](std::string_view name) {
    return one_tensor({std::string(name), {1}, kF32, zeros(4)});
  };
  using namespace std::string_view_literals;
  out.push_back({"T name empty", named(""), kBad, "a tensor name is empty"});
  out.push_back({"T name of 63 bytes", named(std::string(63, 'n')), {}, ""});
  out.push_back({"T name of 64 bytes", named(std::string(64, 'n')), kBad, "the limit of 63"});
  for (const uint64_t length : {uint64_t(1000), uint64_t(1) << 32, uint64_t(1) << 63, UINT64_MAX})
    out.push_back({fmt::format("T name length {}", length),
                   one_tensor({"a", {1}, kF32, zeros(4), {}, length}), kBad, "are left"});
  for (const auto name : {"a\0b"sv, "\xff\xfe"sv, "a\nb"sv, "\x1b]0;x\x07"sv})
    out.push_back(
        {fmt::format("T name with byte {:02x}", uint8_t(name[1])), named(name), kBad, "not UTF-8"});
  out.push_back({"T name with a path", named("../../etc/passwd"), {}, ""});
  GgufWriter twice;
  twice.tensor_zero("a", QuantType::F32, {1}).tensor_zero("a", QuantType::F32, {1});
  out.push_back({"T name twice", twice.bytes(), kBad, "tensor a appears twice"});
}

void add_dims(std::vector<HostileFile>& out) {
  for (const uint32_t n : {0u, 5u, 8u, 64u, 0x7FFFFFFFu, 0xFFFFFFFFu})
    out.push_back({fmt::format("T {} dimensions", n), one_tensor({"a", {1}, kF32, zeros(64), n}),
                   kBad, fmt::format("has {} dimensions, expected 1..4", n)});
  out.push_back({"T 5 real dimensions", one_tensor({"a", {1, 1, 1, 1, 1}, kF32, zeros(4)}), kBad,
                 "has 5 dimensions"});
  for (size_t at = 0; at < 4; ++at)
    for (const uint64_t size : {uint64_t(0), UINT64_MAX, uint64_t(1) << 63}) {
      Dims dims{32, 1, 1, 1};
      dims[at] = size;
      out.push_back({fmt::format("T dimension {} is {}", at, size),
                     one_tensor({"a", dims, kQ4_0, zeros(18)}), kBad,
                     fmt::format("dimension {} of size {}", at, size)});
    }
  for (const uint64_t size : {uint64_t(1) << 31, uint64_t(1) << 32, uint64_t(1) << 62})
    out.push_back({fmt::format("T rows {}", size), one_tensor({"a", {32, size}, kQ4_0, zeros(18)}),
                   kBad, size >> 58 ? "product below 2^63" : "past the end"});
  struct Product {
    const char* name;
    Dims dims;
    uint32_t type;
    const char* word;
  };
  const uint64_t big = uint64_t(1) << 32;
  const Product products[] = {
      {"wraps to 0", {big, big}, kF32, "product below 2^63"},
      {"wraps to 1", {UINT64_MAX, UINT64_MAX}, kF32, "product below 2^63"},
      {"is negative", {big, big / 2}, kF32, "product below 2^63"},
      {"of (2^63-1, 2)", {INT64_MAX, 2}, kF32, "product below 2^63"},
      {"small and positive after a wrap", {(UINT64_MAX / 96 + 1) * 32, 3}, kQ4_0, "product below"},
      {"with bytes wrapping to 0", {big, big / 4}, kF32, "more than 2^64 bytes"},
      {"with bytes 2^64-16", {4, big / 4 - 1, big / 4 + 1}, kF32, "past the end"},
      {"with bytes 2^64-64 twice", {0x3FFFFFFFFFFFFFF0}, kF32, "past the end"},
  };
  for (const Product& row : products)
    out.push_back({fmt::format("T product {}", row.name),
                   one_tensor({"a", row.dims, row.type, zeros(64)}), kBad, row.word});
}

/// For every type: rows that are not whole blocks, and byte counts that wrap.
void add_types(std::vector<HostileFile>& out) {
  for (const QuantTypeInfo& type : quant_types()) {
    const uint32_t id = uint32_t(type.type);
    const uint64_t block = type.block_weights;
    if (!type.has_codec) {
      out.push_back({fmt::format("T type {} without codec", type.name),
                     one_tensor({"a", {block}, id, zeros(type.block_bytes)}), kUnsupported,
                     fmt::format("has type {} (id {})", type.name, id)});
      continue;
    }
    out.push_back({fmt::format("T one block of {}", type.name),
                   one_tensor({"a", {block}, id, zeros(type.block_bytes)}),
                   {},
                   ""});
    out.push_back({fmt::format("T one block of {} less a byte", type.name),
                   one_tensor({"a", {block}, id, zeros(type.block_bytes - 1)}), kBad,
                   "past the end"});
    if (block > 1)
      for (const uint64_t row : {block - 1, block + 1, block / 2})
        out.push_back({fmt::format("T row of {} in {}", row, type.name),
                       one_tensor({"a", {row, 8}, id, zeros(8 * type.block_bytes)}), kBad,
                       fmt::format("a multiple of {}", block)});
    // type_size * n wraps to nearly nothing if it is multiplied before dividing.
    const uint64_t wrapping = (UINT64_MAX / type.block_bytes / block + 1) * block;
    out.push_back({fmt::format("T size of {} wraps", type.name),
                   one_tensor({"a", {wrapping, 1}, id, zeros(type.block_bytes)}), kBad,
                   "tensor a"});
    out.push_back({fmt::format("T biggest {}", type.name),
                   one_tensor({"a", {block, INT64_MAX / block}, id, zeros(type.block_bytes)}), kBad,
                   "tensor a"});
  }
  struct Id {
    uint32_t id;
    const char* word;
  };
  for (const Id row : {Id{4, "q4_2 (removed)"},
                       {5, "q4_3 (removed)"},
                       {9, "q8_1"},
                       {15, "q8_k"},
                       {16, "iq2_xxs"},
                       {17, "iq2_xs"},
                       {18, "iq3_xxs"},
                       {19, "iq1_s"},
                       {22, "iq2_s"},
                       {26, "i32"},
                       {29, "iq1_m"},
                       {31, "q4_0_4_4 (removed)"},
                       {36, "iq4_nl_4_4 (removed)"},
                       {40, "nvfp4"},
                       {43, "unknown (id 43)"},
                       {139, "iq4_k (ik)"},
                       {1u << 31, "unknown"},
                       {0xFFFFFFFF, "unknown"}})
    out.push_back({fmt::format("T type id {}", row.id),
                   one_tensor({"blk.0.ffn_down.weight", {256}, row.id, zeros(300)}), kUnsupported,
                   row.word});
}

void add_places(std::vector<HostileFile>& out) {
  const auto at = [](uint64_t offset) {
    return one_tensor({"a", {8}, kF32, zeros(96), {}, {}, offset});
  };
  out.push_back({"T offset inside", at(64), {}, ""});
  out.push_back({"T offset reaching past the end", at(96), kBad, "past the end"});
  out.push_back({"T offset past the end", at(4096), kBad, "past the end"});
  for (const uint64_t offset : {uint64_t(1), uint64_t(31), uint64_t(33)})
    out.push_back({fmt::format("T offset {}", offset), at(offset), kBad, "a multiple of 32"});
  for (const uint64_t offset : {UINT64_MAX - 31, uint64_t(1) << 63, (uint64_t(1) << 63) - 32})
    out.push_back({fmt::format("T offset {}", offset), at(offset), kBad, "past the end"});

  GgufWriter two;
  two.tensor_zero("a", QuantType::F32, {16}).tensor_zero("b", QuantType::F32, {16});
  const auto placed = [&](uint64_t first, uint64_t second) {
    GgufWriter file = two;
    file.tensors[0].offset = first;
    file.tensors[1].offset = second;
    return file.bytes();
  };
  out.push_back({"T in reversed order", placed(64, 0), {}, ""});
  out.push_back({"T overlapping by half", placed(0, 32), kBad, "tensors a and b overlap"});
  out.push_back({"T overlapping wholly", placed(64, 64), kBad, "overlap"});
  GgufWriter inside = two;
  inside.tensor_zero("c", QuantType::F32, {48});
  inside.tensors[2].offset = 0;
  out.push_back({"T inside another", inside.bytes(), kBad, "overlap"});

  auto whole = two.bytes();
  auto longer = whole;
  longer.resize(longer.size() + 1000, std::byte{0xAB});
  out.push_back({"T trailing garbage", longer, {}, ""});
  whole.pop_back();
  out.push_back({"T truncated by one byte", whole, kBad, "past the end"});
  whole.resize(200);
  out.push_back({"T truncated before the data", whole, kBad, "tensor"});

  GgufWriter huge;
  for (const char* name : {"a", "b"}) huge.tensors.push_back({name, {0x7FFFFFFFFFFFFFC0}, kI8, {}});
  out.push_back({"T two of 2^63-64 bytes", huge.bytes(), kUnsupported, "i8"});
  GgufWriter sum;  // together their padded sizes wrap
  for (const char* name : {"a", "b", "c"})
    sum.tensors.push_back({name, {0x1FFFFFFFFFFFFFF0}, kF32, zeros(32), {}, {}, 0});
  out.push_back({"T sizes whose sum wraps", sum.bytes(), kBad, "past the end"});
}

void add_many(std::vector<HostileFile>& out) {
  GgufWriter file;
  for (uint32_t i = 0; i < 65'536; ++i)
    file.tensors.push_back({fmt::format("t{}", i), {1}, kF32, zeros(4)});
  out.push_back({"T 65536 tensors", file.bytes(), {}, ""});
  file.tensors.push_back({"one more", {1}, kF32, zeros(4)});
  out.push_back({"T 65537 tensors", file.bytes(), kBad, "more than the limit"});
  GgufWriter same;
  for (uint32_t i = 0; i < 65'536; ++i)
    same.tensors.push_back({fmt::format("t{}", i), {1}, kF32, i ? zeros(0) : zeros(4), {}, {}, 0});
  out.push_back({"T 65536 tensors in one place", same.bytes(), kBad, "overlap"});
  GgufWriter none;
  for (uint32_t i = 0; i < 65'536; ++i)
    none.tensors.push_back({fmt::format("t{}", i), {0}, kF32, {}});
  out.push_back({"T 65536 tensors without weights", none.bytes(), kBad, "dimension 0 of size 0"});
  GgufWriter twice;
  for (uint32_t i = 0; i < 65'536; ++i) twice.tensors.push_back({"t", {1}, kF32, zeros(4)});
  out.push_back({"T 65536 equal names", twice.bytes(), kBad, "appears twice"});
}

struct Scale {
  const char* name;
  uint16_t half;
  bool finite;
};
constexpr Scale kScales[] = {
    {"NaN", 0x7E00, false},       {"signalling NaN", 0xFC01, false}, {"infinity", 0x7C00, false},
    {"-infinity", 0xFC00, false}, {"65504", 0x7BFF, true},           {"-65504", 0xFBFF, true},
    {"denormal", 0x0001, true},
};

/// Where the types with half scales keep them.
struct ScaleField {
  QuantType type;
  uint32_t offset;
};
constexpr ScaleField kScaleFields[] = {
    {QuantType::F16, 0},    {QuantType::Q4_0, 0},   {QuantType::Q4_1, 0},   {QuantType::Q4_1, 2},
    {QuantType::Q5_0, 0},   {QuantType::Q5_1, 0},   {QuantType::Q5_1, 2},   {QuantType::Q8_0, 0},
    {QuantType::Q2_K, 80},  {QuantType::Q2_K, 82},  {QuantType::Q3_K, 108}, {QuantType::Q4_K, 0},
    {QuantType::Q4_K, 2},   {QuantType::Q5_K, 0},   {QuantType::Q5_K, 2},   {QuantType::Q6_K, 208},
    {QuantType::IQ4_NL, 0}, {QuantType::IQ4_XS, 0}, {QuantType::TQ1_0, 52}, {QuantType::TQ2_0, 64},
    {QuantType::Q1_0, 0},   {QuantType::Q2_0, 0},
};

}  // namespace

void add_hostile_tensors(std::vector<HostileFile>& out) {
  add_names(out);
  add_dims(out);
  add_types(out);
  add_places(out);
  add_many(out);
  GgufWriter q4k;
  q4k.tensor_zero("a", QuantType::Q4_K, {256, 2});
  q4k.tensors[0].dims = {128, 4};
  out.push_back({"T q4_k in rows of 128", q4k.bytes(), kBad, "a multiple of 256 for type q4_k"});
}

void add_hostile_weights(std::vector<HostileFile>& out) {
  const auto row = [&](QuantType type, std::string name, std::vector<std::byte> last, bool finite) {
    std::vector<std::byte> data = zeros(3 * last.size());
    data.insert(data.end(), last.begin(), last.end());
    out.push_back({fmt::format("W {} {}", info(type).name, name),
                   one_tensor({"w", {info(type).block_weights, 4}, uint32_t(type), data}),
                   finite ? std::nullopt : std::optional(ErrorCode::NonFinite),
                   finite ? "" : "block 3, in row 3"});
  };
  for (const QuantTypeInfo& type : quant_types())
    if (type.has_codec)
      row(type.type, "all 0xFF", std::vector(type.block_bytes, std::byte{0xFF}), false);
  for (const ScaleField& field : kScaleFields)
    for (const Scale& scale : kScales) {
      auto block = zeros(info(field.type).block_bytes);
      std::memcpy(block.data() + field.offset, &scale.half, 2);
      row(field.type, fmt::format("scale {} at byte {}", scale.name, field.offset), block,
          scale.finite);
    }
  for (const uint32_t bits : {0x7FC00000u, 0x7F800000u, 0xFF800000u, 0x7F7FFFFFu, 0x00000001u}) {
    std::vector<std::byte> weight(4);
    std::memcpy(weight.data(), &bits, 4);
    const bool finite = (bits & 0x7F800000u) != 0x7F800000u;
    row(QuantType::F32, fmt::format("{:08x}", bits), weight, finite);
    row(QuantType::BF16, fmt::format("{:08x}", bits), {weight.begin() + 2, weight.end()}, finite);
  }
  for (const unsigned exponent : {0u, 1u, 252u, 253u, 254u, 255u}) {
    auto block = zeros(17);
    block[0] = std::byte(exponent);
    row(QuantType::MXFP4, fmt::format("exponent {}", exponent), block, exponent <= 252);
  }
}

}  // namespace pumice::test
