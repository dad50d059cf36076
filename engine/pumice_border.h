// What every function of the public header does at its border: statuses and texts out of Results,
// structs of the caller's size, no exception past it.
#pragma once

#include <algorithm>
#include <cstring>
#include <new>
#include <span>
#include <string_view>

#include "engine/base/result.h"
#include "engine/pumice.h"

namespace pumice::border {

[[nodiscard]] pm_status status_of(ErrorCode code);

/// Fills *error (may be null) and returns the status. Allocates nothing: it also reports that
/// memory is out.
pm_status report(pm_status status, std::string_view text, pm_error* error);

/// Runs a function that returns Result<void>; what throws inside is the allocator.
template <class Function>
[[nodiscard]] pm_status guarded(pm_error* error, const Function& function) noexcept {
  try {
    const Result<void> result = function();
    if (result) return PM_OK;
    return report(status_of(result.error().code), result.error().text, error);
  } catch (const std::bad_alloc&) {
    return report(PM_OUT_OF_MEMORY, "out of host memory", error);
  } catch (const std::exception& unexpected) {
    return report(PM_IO, unexpected.what(), error);
  } catch (...) {
    return report(PM_IO, "an unknown failure", error);
  }
}

/// The first null pointer of a call's arguments, in words.
struct Argument {
  const char* name;
  const void* value;
};
[[nodiscard]] Result<void> require(const char* call, std::initializer_list<Argument> arguments);

/// Text that the caller gives: not null, UTF-8.
[[nodiscard]] Result<std::string_view> text_of(const char* call, const char* name,
                                               const char* text);

/// A copy of a struct as large as the caller's; zeros beyond, and for a null pointer.
template <class Struct>
[[nodiscard]] Result<Struct> read_struct(const char* call, const Struct* given) {
  Struct full = {};
  if (given == nullptr) return full;
  if (given->struct_size < sizeof given->struct_size)
    return fail(ErrorCode::BadArgument, "{}: set struct_size first", call);
  std::memcpy(&full, given, std::min<size_t>(given->struct_size, sizeof full));
  return full;
}

/// Writes as much of a struct as the caller's has.
template <class Struct>
[[nodiscard]] Result<void> write_struct(const char* call, Struct* out, Struct full) {
  if (out->struct_size < sizeof out->struct_size)
    return fail(ErrorCode::BadArgument, "{}: set struct_size first", call);
  full.struct_size = out->struct_size;
  std::memcpy(out, &full, std::min<size_t>(full.struct_size, sizeof full));
  return {};
}

/// Fills as many of the caller's rows as there are, and says how many there would be. Rows lie as
/// far apart as the first one's size.
template <class Struct>
[[nodiscard]] Result<void> write_rows(const char* call, Struct* out, uint32_t* count,
                                      std::span<const Struct> rows) {
  const uint32_t room = out == nullptr ? 0 : *count;
  for (uint32_t i = 0; i < std::min<size_t>(room, rows.size()); ++i) {
    auto* bytes = reinterpret_cast<std::byte*>(out) + size_t{out->struct_size} * i;
    auto* at = reinterpret_cast<Struct*>(bytes);
    if (at->struct_size != out->struct_size)  // it would be written over its neighbour
      return fail(ErrorCode::BadArgument, "{}: set struct_size of every row first", call);
    PUMICE_TRY(write_struct(call, at, rows[i]));
  }
  *count = uint32_t(rows.size());
  return {};
}

/// Cut where longer, never within a character. The bytes that were copied, without the zero.
size_t copy_text(std::span<char> out, std::string_view text);

}  // namespace pumice::border
