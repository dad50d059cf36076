// The Vulkan loader, by the names under which systems install it.
#include "engine/vk/vulkan_library.h"

#include "engine/base/platform.h"

namespace pumice::vk {
namespace {

#ifdef _WIN32
constexpr const char* kNames[] = {"vulkan-1.dll"};
constexpr const char* kAbsent =
    "vulkan-1.dll is not installed; install the driver of your graphics card";
#else
constexpr const char* kNames[] = {"libvulkan.so.1", "libvulkan.so", "libvulkan.1.dylib"};
constexpr const char* kAbsent =
    "the Vulkan loader (libvulkan.so.1) is not installed; on Debian: "
    "apt install libvulkan1 mesa-vulkan-drivers";
#endif

void* open_first() {
  for (const char* name : kNames)
    if (void* opened = open_library(name)) return opened;
  return nullptr;
}

}  // namespace

Result<PFN_vkGetInstanceProcAddr> vulkan_entry_point() {
  static void* const library = open_first();
  void* symbol = library != nullptr ? library_symbol(library, "vkGetInstanceProcAddr") : nullptr;
  if (symbol == nullptr) return fail(ErrorCode::NoDevice, "{}", kAbsent);
  return reinterpret_cast<PFN_vkGetInstanceProcAddr>(symbol);
}

}  // namespace pumice::vk
