// The checks of one dispatch.
#include "engine/vk/dispatch_check.h"

#include <algorithm>

#include "engine/base/checked.h"

namespace pumice::vk {
namespace {

constexpr uint64_t kIndirectBytes = 3 * sizeof(uint32_t);

Result<void> check_slice(const BufferSlice& slice, uint64_t alignment,
                         const BufferBytes& bytes_of) {
  const auto bytes = bytes_of(slice.buffer);
  if (!bytes) return fail(ErrorCode::BadArgument, "there is no buffer {}", slice.buffer);
  const auto end = checked_add(slice.offset, slice.bytes);
  if (slice.bytes == 0 || !end || *end > *bytes)
    return fail(ErrorCode::BadArgument, "{} bytes at offset {} of a buffer of {} bytes",
                slice.bytes, slice.offset, *bytes);
  if (slice.offset % alignment != 0)
    return fail(ErrorCode::BadArgument, "offset {} is not a multiple of {}, which the device needs",
                slice.offset, alignment);
  return {};
}

Result<void> check_binding(const ShaderBinding& binding, const BufferSlice& slice,
                           const Capabilities& caps, const BufferBytes& bytes_of) {
  if (binding.kind == BindingKind::StorageBuffer) {
    PUMICE_TRY(check_slice(slice, caps.storage_alignment, bytes_of));
    if (slice.bytes > caps.max_storage_range)
      return fail(ErrorCode::Unsupported,
                  "{} bytes of storage buffer, {} allows {}; split the dispatch", slice.bytes,
                  caps.device_name, caps.max_storage_range);
    return {};
  }
  // Views start at whole texels even where the driver's own alignment is smaller.
  PUMICE_TRY(check_slice(slice, std::max<uint64_t>(caps.texel_alignment, kTexelBytes), bytes_of));
  if (div_up(slice.bytes, kTexelBytes) > caps.max_texel_elements)
    return fail(ErrorCode::Unsupported,
                "{} texels of 16 bytes, {} allows {}; use the storage-buffer kernel or split",
                div_up(slice.bytes, kTexelBytes), caps.device_name, caps.max_texel_elements);
  return {};
}

Result<void> check_groups(const Dispatch& dispatch, const Capabilities& caps) {
  if (dispatch.indirect.buffer != kNoBuffer) return {};
  for (size_t axis = 0; axis < 3; ++axis)
    if (dispatch.groups[axis] > caps.max_workgroup_count[axis])
      return fail(ErrorCode::Unsupported,
                  "{} x {} x {} work groups, {} allows {} x {} x {}; fold the count into more axes",
                  dispatch.groups[0], dispatch.groups[1], dispatch.groups[2], caps.device_name,
                  caps.max_workgroup_count[0], caps.max_workgroup_count[1],
                  caps.max_workgroup_count[2]);
  return {};
}

Result<void> check(const Dispatch& dispatch, const ShaderInfo& shader, const Capabilities& caps,
                   const BufferBytes& bytes_of) {
  for (const ShaderBinding& binding : shader.bindings) {
    if (binding.binding >= dispatch.bindings.size())
      return fail(ErrorCode::BadArgument, "the shader has binding {}, the dispatch has {} bindings",
                  binding.binding, dispatch.bindings.size());
    auto fine = check_binding(binding, dispatch.bindings[binding.binding], caps, bytes_of);
    if (!fine) return fail_in(fmt::format("binding {}", binding.binding), std::move(fine.error()));
  }
  const size_t push_bytes = dispatch.push.size() * sizeof(uint32_t);
  if (push_bytes < shader.push_bytes)
    return fail(ErrorCode::BadArgument, "{} bytes of push constants, the shader reads {}",
                push_bytes, shader.push_bytes);
  PUMICE_TRY(check_groups(dispatch, caps));
  if (dispatch.indirect.buffer != kNoBuffer) {
    BufferSlice counts = dispatch.indirect;
    counts.bytes = kIndirectBytes;
    auto fine = check_slice(counts, sizeof(uint32_t), bytes_of);
    if (!fine) return fail_in("indirect group counts", std::move(fine.error()));
  }
  return {};
}

}  // namespace

Result<void> check_dispatch(const Dispatch& dispatch, const ShaderInfo& shader,
                            const Capabilities& caps, const BufferBytes& bytes_of) {
  auto fine = check(dispatch, shader, caps, bytes_of);
  if (fine) return {};
  const std::string label = dispatch.label.empty() ? "" : fmt::format(" ({})", dispatch.label);
  return fail_in(fmt::format("dispatch of {}{}", dispatch.kernel, label), std::move(fine.error()));
}

}  // namespace pumice::vk
