// SHA-256 of bytes as they come.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

struct evp_md_ctx_st;  // OpenSSL's

namespace pumice::hub {

class Sha256 {
 public:
  Sha256();
  void restart();
  void add(std::span<const std::byte> bytes);
  /// 64 small hexadecimal digits, or nothing where the library refused its work. What is added
  /// after is another message.
  [[nodiscard]] std::string finish();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
  bool works_ = false;
};

}  // namespace pumice::hub
