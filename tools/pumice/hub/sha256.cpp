// Owns the calls of OpenSSL's libcrypto, which libcurl brings along and which uses the processor's
// instructions for it.
#include "tools/pumice/hub/sha256.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <iterator>

namespace pumice::hub {

void Sha256::Free::operator()(evp_md_ctx_st* context) const {
  EVP_MD_CTX_free(context);
}

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  restart();
}

void Sha256::restart() {
  works_ = context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1;
}

void Sha256::add(std::span<const std::byte> bytes) {
  works_ = works_ && EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1;
}

std::string Sha256::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  std::string text;
  if (works_ && EVP_DigestFinal_ex(context_.get(), digest.data(), &size) == 1)
    for (unsigned i = 0; i < size; ++i)
      fmt::format_to(std::back_inserter(text), "{:02x}", digest[i]);
  restart();
  return text;
}

}  // namespace pumice::hub
