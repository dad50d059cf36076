// Owns the form of the records and what they allow to conclude.
#include "tools/pumice/hub/record.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <span>

#include "engine/base/platform.h"

namespace pumice::hub {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr std::streamsize kMostBytes = 4096;

uint64_t size_of(const fs::path& file) {
  std::error_code error;
  if (!fs::is_regular_file(file, error)) return 0;
  const uint64_t size = fs::file_size(file, error);
  return error ? 0 : size;
}

}  // namespace

fs::path record_path(const fs::path& file) {
  fs::path path = file;
  path += ".json";
  return path;
}

std::optional<Record> read_record(const fs::path& file) {
  std::ifstream in(record_path(file), std::ios::binary);
  std::string text(size_t(kMostBytes), '\0');
  in.read(text.data(), kMostBytes);
  text.resize(size_t(in.gcount()));
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return std::nullopt;
  Record record;
  for (const auto& [name, value] : {std::pair{"etag", &record.etag}, std::pair{"oid", &record.oid},
                                    std::pair{"sha256", &record.sha256}})
    if (json.contains(name) && json[name].is_string()) *value = json[name].get<std::string>();
  if (json.contains("size") && json["size"].is_number_unsigned())
    record.size = json["size"].get<uint64_t>();
  return record;
}

Result<void> write_record(const fs::path& file, const Record& record) {
  const Json json = {
      {"etag", record.etag}, {"oid", record.oid}, {"sha256", record.sha256}, {"size", record.size}};
  const std::string text = json.dump(2, ' ', true, Json::error_handler_t::replace) + "\n";
  return write_file_whole(record_path(file), std::as_bytes(std::span(text)));
}

void remove_record(const fs::path& file) {
  std::error_code ignored;
  fs::remove(record_path(file), ignored);
}

bool is_whole(const fs::path& file) {
  const uint64_t size = size_of(file);
  const auto record = read_record(file);
  return size > 0 && (!record || record->size == size);
}

bool is_current(const fs::path& file, const HubFile& hub) {
  const auto record = read_record(file);
  if (!record || !is_whole(file)) return false;
  if (!hub.sha256.empty()) return record->sha256 == hub.sha256;
  if (!hub.oid.empty()) return record->oid == hub.oid;
  return !hub.size || *hub.size == record->size;
}

}  // namespace pumice::hub
