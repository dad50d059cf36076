// Statuses, texts and sizes.
#include "engine/pumice_border.h"

#include <cstddef>

#include "engine/base/log.h"
#include "engine/text/unicode.h"

namespace pumice::border {
namespace {

struct StatusRow {
  pm_status status;
  ErrorCode code;
  const char* text;
};

/// A library in a host's process prints nothing: what matters comes back as a status and a text.
[[maybe_unused]] const bool kSilent = [] {
  set_log_sink([](LogLevel, std::string_view, void*) {}, nullptr);
  return true;
}();

constexpr StatusRow kStatuses[] = {
    {PM_BAD_ARGUMENT, ErrorCode::BadArgument, "bad argument"},
    {PM_BAD_FILE, ErrorCode::BadFile, "bad file"},
    {PM_UNSUPPORTED, ErrorCode::Unsupported, "unsupported"},
    {PM_NOT_FOUND, ErrorCode::NotFound, "not found"},
    {PM_IO, ErrorCode::Io, "input or output failed"},
    {PM_OUT_OF_MEMORY, ErrorCode::OutOfMemory, "out of memory"},
    {PM_NO_DEVICE, ErrorCode::NoDevice, "no usable Vulkan device"},
    {PM_DEVICE_LOST, ErrorCode::DeviceLost, "device lost"},
    {PM_DRIVER, ErrorCode::Driver, "a driver call failed"},
    {PM_CONTEXT_FULL, ErrorCode::ContextFull, "context full"},
    {PM_NON_FINITE, ErrorCode::NonFinite, "not a finite number"},
    {PM_CANCELLED, ErrorCode::Cancelled, "cancelled"},
};

}  // namespace

pm_status status_of(ErrorCode code) {
  for (const StatusRow& row : kStatuses)
    if (row.code == code) return row.status;
  return PM_BAD_ARGUMENT;
}

size_t copy_text(std::span<char> out, std::string_view text) {
  if (out.empty()) return 0;
  size_t length = std::min(text.size(), out.size() - 1);
  if (length < text.size())
    while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80) --length;
  std::memcpy(out.data(), text.data(), length);
  out[length] = '\0';
  return length;
}

pm_status report(pm_status status, std::string_view text, pm_error* error) {
  constexpr size_t kTextAt = offsetof(pm_error, text);
  if (error == nullptr || error->struct_size < kTextAt) return status;
  error->status = status;
  copy_text({error->text, std::min<size_t>(error->struct_size - kTextAt, sizeof error->text)},
            text);
  return status;
}

Result<void> require(const char* call, std::initializer_list<Argument> arguments) {
  for (const Argument& argument : arguments)
    if (argument.value == nullptr)
      return fail(ErrorCode::BadArgument, "{}: {} must not be NULL", call, argument.name);
  return {};
}

Result<std::string_view> text_of(const char* call, const char* name, const char* text) {
  PUMICE_TRY(require(call, {{name, text}}));
  const std::string_view view(text);
  if (const size_t valid = text::valid_utf8(view); valid != view.size())
    return fail(ErrorCode::BadArgument, "{}: {} is not UTF-8 at byte {}", call, name, valid);
  return view;
}

}  // namespace pumice::border

const char* pm_version(void) {
  return PUMICE_VERSION;
}

const char* pm_status_text(pm_status status) {
  if (status == PM_OK) return "ok";
  for (const auto& row : pumice::border::kStatuses)
    if (row.status == status) return row.text;
  return "unknown status";
}
