// The corpus as one list, and its header rows (H).
#include "hostile.h"

#include <fmt/format.h>

#include "tests/support/gguf_writer.h"

namespace pumice::test {
namespace {

constexpr auto kBad = ErrorCode::BadFile;
constexpr auto kUnsupported = ErrorCode::Unsupported;

GgufWriter small_model() {
  GgufWriter file;
  file.set("general.architecture", std::string("llama")).set("llama.block_count", uint32_t(2));
  file.tensor_zero("output.weight", QuantType::Q4_0, {64, 4});
  return file;
}

std::vector<std::byte> text_file(std::string_view text) {
  return Bytes().raw(text).data;
}

std::vector<std::byte> with_version(uint32_t version) {
  GgufWriter file = small_model();
  file.version = version;
  return file.bytes();
}

void add_starts(std::vector<HostileFile>& out) {
  out.push_back({"H empty", {}, kBad, "has only 0 bytes"});
  out.push_back({"H magic only", text_file("GGUF"), kBad, "the header"});
  const auto whole = GgufWriter().bytes();
  for (size_t n = 1; n < whole.size(); ++n)
    out.push_back({fmt::format("H first {} bytes", n),
                   {whole.begin(), whole.begin() + long(n)},
                   kBad,
                   n < 4 ? "not a GGUF file" : "ends inside the header"});
  for (const char* start : {"GGML....", "gguf....", "FUGG....", "PK\x03\x04....",
                            "\x7f"
                            "ELF....",
                            "{\"__metadata__\":{}}", "<!DOCTYPE html>"})
    out.push_back({fmt::format("H starts with {}", start), text_file(start), kBad, "not a GGUF"});
}

void add_versions(std::vector<HostileFile>& out) {
  out.push_back({"H version 0", with_version(0), kBad, "version 0"});
  out.push_back({"H version 1", with_version(1), kUnsupported, "version 1 "});
  out.push_back({"H version 2", with_version(2), {}, ""});
  out.push_back({"H version 3", with_version(3), {}, ""});
  out.push_back({"H version 4", with_version(4), kUnsupported, "version 4 "});
  out.push_back({"H version big-endian 2", with_version(0x02000000), kUnsupported, "big-endian"});
  out.push_back({"H version big-endian 3", with_version(0x03000000), kUnsupported, "big-endian"});
  out.push_back({"H version -1", with_version(0xFFFFFFFF), kUnsupported, "4294967295"});
}

void add_counts(std::vector<HostileFile>& out) {
  constexpr uint64_t kCounts[] = {65'537,
                                  uint64_t(1) << 31,
                                  uint64_t(1) << 32,
                                  uint64_t(1) << 40,
                                  uint64_t(1) << 58,
                                  uint64_t(1) << 60,
                                  (uint64_t(1) << 61) + 1,
                                  (uint64_t(1) << 63) - 1,
                                  uint64_t(1) << 63,
                                  UINT64_MAX / 24 + 1,
                                  UINT64_MAX};
  for (const uint64_t count : kCounts) {
    GgufWriter keys = small_model(), tensors = small_model();
    keys.n_entries = tensors.n_tensors = count;
    out.push_back({fmt::format("H n_kv {}", count), keys.bytes(), kBad, "keys, more than"});
    out.push_back(
        {fmt::format("H n_tensors {}", count), tensors.bytes(), kBad, "tensors, more than"});
  }
  GgufWriter file = small_model();
  file.n_entries = 65'536;
  out.push_back({"H n_kv at the limit, small file", file.bytes(), kBad, "are too few"});
  file.n_entries.reset();
  file.n_tensors = 65'536;
  out.push_back({"H n_tensors at the limit, small file", file.bytes(), kBad, "are too few"});
  file.n_tensors = 0;
  out.push_back({"H n_tensors 0 with a table", file.bytes(), {}, ""});
  file.n_tensors = 2;
  out.push_back({"H n_tensors one more", file.bytes(), kBad, "tensor 2 of 2"});
  file.n_tensors.reset();
  file.n_entries = 3;
  out.push_back({"H n_kv one more", file.bytes(), kBad, "truncated or damaged"});
  file.n_entries = 1;
  out.push_back({"H n_kv one less", file.bytes(), kBad, "tensor 1 of 1"});
  out.push_back({"H no keys, no tensors", GgufWriter().bytes(), {}, ""});
}

}  // namespace

void add_hostile_headers(std::vector<HostileFile>& out) {
  add_starts(out);
  add_versions(out);
  add_counts(out);
}

std::vector<HostileFile> hostile_files() {
  std::vector<HostileFile> out;
  add_hostile_headers(out);
  add_hostile_values(out);
  add_hostile_tensors(out);
  add_hostile_weights(out);
  return out;
}

}  // namespace pumice::test
