// Owns the GGUF header, the order of the sections, and the strings that occur in all of them.
#include "loader/gguf_part.h"

#include <bit>

#include "loader/gguf.h"
#include "loader/printable.h"

namespace pumice {
namespace {

// The least that an entry can take in the file; a count that cannot fit is refused before it is
// used.
constexpr uint64_t kMinEntryBytes = 8 + 1 + 4 + 1;           // key length, key, type, value
constexpr uint64_t kMinTensorBytes = 8 + 1 + 4 + 8 + 4 + 8;  // name, n_dims, 1 dim, type, offset
constexpr std::string_view kAlignmentKey = "general.alignment";

struct Header {
  uint32_t version = 0;
  uint64_t n_tensors = 0;
  uint64_t n_entries = 0;
};

Result<void> check_version(uint32_t version) {
  if (version == 2 || version == 3) return {};
  if (version != 0 && (version & 0xFFFFu) == 0)
    return fail(
        ErrorCode::Unsupported,
        "byte 4: GGUF version {:#x} has its bytes swapped: a big-endian file; convert it to "
        "little-endian",
        version);
  if (version == 0) return fail(ErrorCode::BadFile, "byte 4: GGUF version 0 does not exist");
  return fail(ErrorCode::Unsupported,
              "byte 4: GGUF version {} is not supported (2 and 3 are); convert the model again",
              version);
}

Result<void> check_count(const ByteCursor& cursor, std::string_view what, uint64_t count,
                         uint64_t limit, uint64_t min_bytes) {
  if (count > limit)
    return fail(ErrorCode::BadFile, "byte {}: the header counts {} {}, more than the limit of {}",
                cursor.position() - 8, count, what, limit);
  if (count > cursor.remaining() / min_bytes)
    return fail(ErrorCode::BadFile,
                "byte {}: the header counts {} {}, but the {} bytes that follow are too few: the "
                "file is truncated or damaged",
                cursor.position() - 8, count, what, cursor.remaining());
  return {};
}

Result<Header> parse_header(ByteCursor& cursor) {
  const std::string_view magic = cursor.take_text(4);
  if (cursor.failed())
    return fail(ErrorCode::BadFile, "not a GGUF file: it has only {} bytes", cursor.remaining());
  if (magic != "GGUF")
    return fail(ErrorCode::BadFile, "not a GGUF file: starts with \"{}\", expected \"GGUF\"",
                printable(magic));
  Header header;
  header.version = cursor.read<uint32_t>();
  if (cursor.failed()) return fail_truncated(cursor, "the header");
  PUMICE_TRY(check_version(header.version));
  header.n_tensors = cursor.read<uint64_t>();
  if (cursor.failed()) return fail_truncated(cursor, "the header");
  PUMICE_TRY(
      check_count(cursor, "tensors", header.n_tensors, GgufLimits::kTensors, kMinTensorBytes));
  header.n_entries = cursor.read<uint64_t>();
  if (cursor.failed()) return fail_truncated(cursor, "the header");
  PUMICE_TRY(check_count(cursor, "keys", header.n_entries, GgufLimits::kKeys, kMinEntryBytes));
  return header;
}

Result<uint64_t> parse_alignment(const Metadata& metadata) {
  const MetadataEntry* entry = metadata.find(kAlignmentKey);
  if (entry == nullptr) return uint64_t(32);
  if (entry->type != MetadataType::U32)
    return fail(ErrorCode::BadFile, "key {} has type {}, expected u32", kAlignmentKey,
                metadata_type_name(entry->type));
  if (!std::has_single_bit(entry->bits) || entry->bits > GgufLimits::kAlignment)
    return fail(ErrorCode::BadFile, "key {} is {}, expected a power of two in 1..{}", kAlignmentKey,
                entry->bits, GgufLimits::kAlignment);
  return entry->bits;
}

Result<GgufPart> parse_sections(const std::string& name, std::span<const std::byte> bytes,
                                uint64_t file_bytes) {
  ByteCursor cursor(bytes);
  GgufPart part;
  PUMICE_TRY_ASSIGN(const Header header, parse_header(cursor));
  part.version = header.version;
  PUMICE_TRY_ASSIGN(auto entries, parse_entries(cursor, header.n_entries));
  PUMICE_TRY_ASSIGN(part.metadata, Metadata::index(name, std::move(entries)));
  PUMICE_TRY_ASSIGN(part.alignment, parse_alignment(part.metadata));
  PUMICE_TRY_ASSIGN(part.tensors,
                    parse_tensors(cursor, bytes, file_bytes, header.n_tensors, part.alignment));
  return part;
}

}  // namespace

tl::unexpected<Error> fail_truncated(const ByteCursor& cursor, std::string_view what) {
  return fail(ErrorCode::BadFile,
              "byte {}: the file ends inside {}: it is truncated (download it again)",
              cursor.position(), what);
}

Result<std::string_view> parse_string(ByteCursor& cursor, uint64_t max_bytes,
                                      std::string_view what) {
  const uint64_t start = cursor.position();
  const uint64_t length = cursor.read<uint64_t>();
  if (cursor.failed()) return fail_truncated(cursor, what);
  if (length > cursor.remaining())
    return fail(ErrorCode::BadFile,
                "byte {}: {} has a length of {} bytes, but only {} are left: the file is truncated "
                "or damaged",
                start, what, length, cursor.remaining());
  if (length > max_bytes)
    return fail(ErrorCode::BadFile,
                "byte {}: {} has a length of {} bytes, more than the limit of {}", start, what,
                length, max_bytes);
  return cursor.take_text(length);
}

Result<std::string_view> parse_name(ByteCursor& cursor, uint64_t max_bytes, std::string_view what) {
  const uint64_t start = cursor.position();
  PUMICE_TRY_ASSIGN(const std::string_view text, parse_string(cursor, max_bytes, what));
  if (text.empty()) return fail(ErrorCode::BadFile, "byte {}: {} is empty", start, what);
  if (!is_clean_utf8(text))
    return fail(ErrorCode::BadFile,
                "byte {}: {} \"{}\" holds control characters or bytes that are not UTF-8", start,
                what, printable(text));
  return text;
}

Result<GgufPart> parse_gguf_part(const std::string& name, std::span<const std::byte> bytes,
                                 uint64_t file_bytes) {
  auto part = parse_sections(name, bytes, file_bytes);
  if (part) return part;
  return fail_in(name, std::move(part.error()));
}

}  // namespace pumice
