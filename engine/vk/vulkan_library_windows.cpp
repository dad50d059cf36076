// The Vulkan loader through LoadLibrary.
#include <windows.h>

#include "engine/vk/vulkan_library.h"

namespace pumice::vk {

Result<PFN_vkGetInstanceProcAddr> vulkan_entry_point() {
  static const HMODULE library = LoadLibraryA("vulkan-1.dll");
  const auto symbol =
      library != nullptr ? GetProcAddress(library, "vkGetInstanceProcAddr") : nullptr;
  if (symbol == nullptr)
    return fail(ErrorCode::NoDevice,
                "vulkan-1.dll is not installed; install the driver of your graphics card");
  return reinterpret_cast<PFN_vkGetInstanceProcAddr>(symbol);
}

}  // namespace pumice::vk
