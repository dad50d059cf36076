// The cache file's header: every damage and every foreign driver is noticed.
#include "engine/vk/pipeline_cache.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>

namespace pumice::vk {
namespace {

Capabilities device() {
  Capabilities caps;
  caps.vendor_id = 0x1002;
  caps.device_id = 0x744C;
  caps.driver_version = 22;
  caps.device_uuid[3] = 7;
  caps.driver_uuid[5] = 9;
  return caps;
}

std::vector<std::byte> payload() {
  std::vector<std::byte> bytes(5000);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = std::byte(i * 7);
  return bytes;
}

std::vector<std::byte> short_payload() {
  auto bytes = payload();
  bytes.resize(40);
  return bytes;
}

TEST(PipelineCacheTest, RoundTrip) {
  const auto file = pack_pipeline_cache(device(), payload());
  const auto found = unpack_pipeline_cache(device(), file);
  ASSERT_TRUE(found) << found.error().text;
  EXPECT_EQ(std::vector<std::byte>(found->begin(), found->end()), payload());
  EXPECT_TRUE(unpack_pipeline_cache(device(), pack_pipeline_cache(device(), {})));
}

TEST(PipelineCacheTest, EveryFlippedBitIsNoticed) {
  const auto file = pack_pipeline_cache(device(), short_payload());
  for (size_t bit = 0; bit < file.size() * 8; ++bit) {
    auto broken = file;
    broken[bit / 8] ^= std::byte(1u << (bit % 8));
    EXPECT_FALSE(unpack_pipeline_cache(device(), broken)) << "bit " << bit;
  }
}

TEST(PipelineCacheTest, EveryTruncationAndExtensionIsNoticed) {
  auto file = pack_pipeline_cache(device(), short_payload());
  for (size_t bytes = 0; bytes < file.size(); ++bytes)
    EXPECT_FALSE(unpack_pipeline_cache(device(), std::span(file).first(bytes))) << bytes;
  file.push_back(std::byte{0});
  EXPECT_FALSE(unpack_pipeline_cache(device(), file));
}

TEST(PipelineCacheTest, ForeignFilesAreNotUsed) {
  const auto file = pack_pipeline_cache(device(), payload());
  const std::function<void(Capabilities&)> changes[] = {
      [](auto& c) { ++c.vendor_id; },
      [](auto& c) { ++c.device_id; },
      [](auto& c) { ++c.driver_version; },
      [](auto& c) { ++c.api_version; },
      [](auto& c) { ++c.device_uuid[15]; },
      [](auto& c) { ++c.driver_uuid[0]; },
      [](auto& c) { ++c.pipeline_cache_uuid[8]; }};
  for (const auto& change : changes) {
    Capabilities other = device();
    change(other);
    const auto found = unpack_pipeline_cache(other, file);
    ASSERT_FALSE(found);
    EXPECT_NE(found.error().text.find("another driver"), std::string::npos);
  }
}

TEST(PipelineCacheTest, MissingAndDamagedFilesReadAsEmpty) {
  const auto path = std::filesystem::path(testing::TempDir()) / "pumice-cache-test.bin";
  std::filesystem::remove(path);
  EXPECT_TRUE(read_pipeline_cache(path.string(), device()).empty());
  const auto file = pack_pipeline_cache(device(), payload());
  const auto write = [&](size_t bytes) {
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(file.data()), std::streamsize(bytes));
  };
  write(file.size());
  EXPECT_EQ(read_pipeline_cache(path.string(), device()), payload());
  write(file.size() - 1);
  EXPECT_TRUE(read_pipeline_cache(path.string(), device()).empty());
  write(0);
  EXPECT_TRUE(read_pipeline_cache(path.string(), device()).empty());
  std::filesystem::remove(path);
  EXPECT_TRUE(read_pipeline_cache(testing::TempDir(), device()).empty()) << "a folder";
}

}  // namespace
}  // namespace pumice::vk
