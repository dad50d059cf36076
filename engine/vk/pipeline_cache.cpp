// Header (little-endian, 88 bytes) and payload of a pipeline cache file.
#include "engine/vk/pipeline_cache.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "engine/base/log.h"

namespace pumice::vk {
namespace {

constexpr uint32_t kMagic = 0x43504D50;  // "PMPC"
constexpr uint32_t kVersion = 1;
constexpr uint64_t kMaxBytes = uint64_t(256) << 20;

struct Header {
  uint32_t magic, version;
  uint32_t vendor_id, device_id, driver_version, api_version;
  uint8_t device_uuid[16], driver_uuid[16], cache_uuid[16];
  uint64_t payload_bytes, payload_hash;
};
static_assert(sizeof(Header) == 88);

Header header_for(const Capabilities& caps) {
  Header header{};
  header.magic = kMagic;
  header.version = kVersion;
  header.vendor_id = caps.vendor_id;
  header.device_id = caps.device_id;
  header.driver_version = caps.driver_version;
  header.api_version = caps.api_version;
  std::memcpy(header.device_uuid, caps.device_uuid.data(), 16);
  std::memcpy(header.driver_uuid, caps.driver_uuid.data(), 16);
  std::memcpy(header.cache_uuid, caps.pipeline_cache_uuid.data(), 16);
  return header;
}

}  // namespace

std::vector<std::byte> pack_pipeline_cache(const Capabilities& caps,
                                           std::span<const std::byte> payload) {
  Header header = header_for(caps);
  header.payload_bytes = payload.size();
  header.payload_hash = XXH64(payload.data(), payload.size(), 0);
  std::vector<std::byte> file(sizeof header + payload.size());
  std::memcpy(file.data(), &header, sizeof header);
  std::copy(payload.begin(), payload.end(), file.begin() + sizeof header);
  return file;
}

Result<std::span<const std::byte>> unpack_pipeline_cache(const Capabilities& caps,
                                                         std::span<const std::byte> file) {
  Header found{};
  if (file.size() < sizeof found)
    return fail(ErrorCode::BadFile, "{} bytes are less than its header of {}", file.size(),
                sizeof found);
  std::memcpy(&found, file.data(), sizeof found);
  const auto payload = file.subspan(sizeof found);
  if (found.magic != kMagic) return fail(ErrorCode::BadFile, "it is not a pipeline cache");
  Header expected = header_for(caps);
  expected.payload_bytes = found.payload_bytes;
  expected.payload_hash = found.payload_hash;
  if (std::memcmp(&found, &expected, sizeof found) != 0)
    return fail(ErrorCode::BadFile, "it was written by another driver, device or version");
  if (found.payload_bytes != payload.size())
    return fail(ErrorCode::BadFile, "{} bytes of payload, its header says {}", payload.size(),
                found.payload_bytes);
  if (XXH64(payload.data(), payload.size(), 0) != found.payload_hash)
    return fail(ErrorCode::BadFile, "its checksum is wrong");
  return payload;
}

std::vector<std::byte> read_pipeline_cache(const std::string& path, const Capabilities& caps) {
  std::error_code missing;
  const uint64_t bytes = std::filesystem::file_size(path, missing);
  if (missing) return {};  // the first run
  if (bytes > kMaxBytes) {
    log_info("pipeline cache {} is ignored: {} bytes are more than {}", path, bytes, kMaxBytes);
    return {};
  }
  std::vector<std::byte> file(static_cast<size_t>(bytes));
  std::ifstream stream(path, std::ios::binary);
  stream.read(reinterpret_cast<char*>(file.data()), std::streamsize(file.size()));
  file.resize(size_t(stream.gcount()));
  const auto payload = unpack_pipeline_cache(caps, file);
  if (!payload) {
    log_info("pipeline cache {} is ignored: {}", path, payload.error().text);
    return {};
  }
  return {payload->begin(), payload->end()};
}

}  // namespace pumice::vk
