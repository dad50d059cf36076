// The Vulkan loader through dlopen.
#include <dlfcn.h>

#include "engine/vk/vulkan_library.h"

namespace pumice::vk {

Result<PFN_vkGetInstanceProcAddr> vulkan_entry_point() {
  static void* const library = [] {
    for (const char* name : {"libvulkan.so.1", "libvulkan.so", "libvulkan.1.dylib"})
      if (void* opened = dlopen(name, RTLD_NOW | RTLD_LOCAL)) return opened;
    return static_cast<void*>(nullptr);
  }();
  void* symbol = library != nullptr ? dlsym(library, "vkGetInstanceProcAddr") : nullptr;
  if (symbol == nullptr)
    return fail(ErrorCode::NoDevice,
                "the Vulkan loader (libvulkan.so.1) is not installed; on Debian: "
                "apt install libvulkan1 mesa-vulkan-drivers");
  return reinterpret_cast<PFN_vkGetInstanceProcAddr>(symbol);
}

}  // namespace pumice::vk
