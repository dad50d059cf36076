// Reads the reference logits that lie beside the checkout; tests skip where they are absent.
#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

namespace pumice::test {

struct OracleLogits {
  std::vector<uint32_t> tokens;
  uint32_t n_vocab = 0;
  uint32_t first_row = 0;     ///< the token that the first row of logits follows
  std::vector<float> logits;  ///< [token][vocab]
};

inline std::string oracle_path(const std::string& name) {
  return std::string(PUMICE_ORACLE_DIR) + "/" + name;
}

inline bool oracle_has(const std::string& name) {
  return std::filesystem::exists(oracle_path(name));
}

/// `NAME.logits` (rows after every token) or `NAME.long` (the last rows only).
inline std::optional<OracleLogits> read_oracle(const std::string& name) {
  std::ifstream in(oracle_path(name), std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(in), {}};
  const bool is_long = name.ends_with(".long");
  const size_t n_header = is_long ? 3 : 2;
  uint32_t header[3] = {};
  if (bytes.size() < n_header * 4) return {};
  std::memcpy(header, bytes.data(), n_header * 4);
  const size_t rows = is_long ? header[2] : header[0];
  OracleLogits out;
  out.n_vocab = header[1];
  out.first_row = uint32_t(header[0] - rows);
  out.tokens.resize(header[0]);
  out.logits.resize(rows * header[1]);
  if (bytes.size() != (n_header + out.tokens.size() + out.logits.size()) * 4) return {};
  const char* at = bytes.data() + n_header * 4;
  std::memcpy(out.tokens.data(), at, out.tokens.size() * 4);
  std::memcpy(out.logits.data(), at + out.tokens.size() * 4, out.logits.size() * 4);
  return out;
}

}  // namespace pumice::test
