// Behind the public header: checks arguments, translates Results into statuses and keeps
// exceptions inside. No logic.
#include "engine/pumice.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <string>

#include "engine/base/result.h"
#include "loader/gguf.h"

struct pm_model {
  std::shared_ptr<const pumice::GgufFile> file;
  std::string architecture, name;
  uint32_t context_length = 0;
  uint64_t weights = 0;
};

namespace {

using pumice::Error;
using pumice::ErrorCode;
using pumice::Result;

struct StatusRow {
  pm_status status;
  ErrorCode code;
  const char* text;
};

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

pm_status status_of(ErrorCode code) {
  for (const StatusRow& row : kStatuses)
    if (row.code == code) return row.status;
  return PM_BAD_ARGUMENT;
}

/// Allocates nothing: it also reports that memory is out.
pm_status report(pm_status status, const char* text, pm_error* error) {
  constexpr size_t text_at = offsetof(pm_error, text);
  if (!error || error->struct_size < text_at) return status;
  error->status = status;
  const size_t room = std::min<size_t>(error->struct_size - text_at, sizeof error->text);
  if (room == 0) return status;
  size_t length = std::min(std::strlen(text), room - 1);
  if (text[length] != '\0')
    while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80) --length;
  std::memcpy(error->text, text, length);
  error->text[length] = '\0';
  return status;
}

/// Runs a function that returns Result<void>; what throws inside is the allocator.
template <class Function>
pm_status guarded(pm_error* error, Function&& function) {
  try {
    const Result<void> result = function();
    if (result) return PM_OK;
    return report(status_of(result.error().code), result.error().text.c_str(), error);
  } catch (const std::bad_alloc&) {
    return report(PM_OUT_OF_MEMORY, "out of host memory", error);
  } catch (const std::exception& unexpected) {
    return report(PM_IO, unexpected.what(), error);
  } catch (...) {
    return report(PM_IO, "an unknown failure", error);
  }
}

Result<void> adopt(Result<std::shared_ptr<const pumice::GgufFile>> opened, pm_model** out) {
  PUMICE_TRY(opened);
  auto model = std::make_unique<pm_model>();
  model->file = std::move(*opened);
  const pumice::Metadata& metadata = model->file->metadata();
  PUMICE_TRY_ASSIGN(model->architecture, metadata.get_string("general.architecture"));
  PUMICE_TRY_ASSIGN(model->name, metadata.get_string_or("general.name", ""));
  PUMICE_TRY_ASSIGN(model->context_length,
                    metadata.get_u32_or(model->architecture + ".context_length", 0));
  for (const pumice::TensorInfo& tensor : model->file->tensors())
    model->weights += tensor.n_weights;
  *out = model.release();
  return {};
}

}  // namespace

const char* pm_version(void) {
  return PUMICE_VERSION;
}

const char* pm_status_text(pm_status status) {
  if (status == PM_OK) return "ok";
  for (const StatusRow& row : kStatuses)
    if (row.status == status) return row.text;
  return "unknown status";
}

pm_status pm_model_open(const char* path, pm_model** model, pm_error* error) {
  if (!path || !model)
    return report(PM_BAD_ARGUMENT, "pm_model_open: path and model must not be NULL", error);
  return guarded(error, [&] { return adopt(pumice::open_gguf(std::string(path)), model); });
}

pm_status pm_model_open_memory(const char* name, const void* bytes, size_t size, pm_model** model,
                               pm_error* error) {
  if (!name || !model || (!bytes && size > 0))
    return report(PM_BAD_ARGUMENT, "pm_model_open_memory: name, bytes and model must not be NULL",
                  error);
  return guarded(error, [&] {
    const std::span data(static_cast<const std::byte*>(bytes), size);
    return adopt(pumice::open_gguf(pumice::borrow_memory(name, data)), model);
  });
}

void pm_model_close(pm_model* model) {
  delete model;
}

pm_status pm_model_describe(const pm_model* model, pm_model_info* info, pm_error* error) {
  if (!model || !info)
    return report(PM_BAD_ARGUMENT, "pm_model_describe: model and info must not be NULL", error);
  if (info->struct_size < sizeof info->struct_size)
    return report(PM_BAD_ARGUMENT, "pm_model_describe: set info->struct_size first", error);
  pm_model_info full = {};
  full.struct_size = info->struct_size;
  full.context_length = model->context_length;
  full.architecture = model->architecture.c_str();
  full.name = model->name.c_str();
  full.weights = model->weights;
  full.tensor_bytes = model->file->tensor_bytes();
  full.tensors = model->file->tensors().size();
  std::memcpy(info, &full, std::min<size_t>(info->struct_size, sizeof full));
  return PM_OK;
}
