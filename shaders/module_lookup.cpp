// Finds a compiled module by name in the generated table, which is sorted.
#include <algorithm>
#include <string_view>

#include "engine/schedule/dispatch.h"

namespace pumice {

const KernelModule* find_kernel(const std::string& name) {
  const auto modules = kernel_modules();
  const auto found = std::lower_bound(modules.begin(), modules.end(), name,
                                      [](const KernelModule& module, const std::string& key) {
                                        return std::string_view(module.name) < key;
                                      });
  return found != modules.end() && found->name == std::string_view(name) ? &*found : nullptr;
}

}  // namespace pumice
