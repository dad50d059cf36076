#include "inspect.h"

#include <utility>

#include "engine/pumice.h"

namespace pumice::chat {

Fit inspect_model(const std::string& path, const std::string& device, uint32_t context) {
  Fit fit;
  fit.path = path;
  pm_error error = {};
  error.struct_size = sizeof error;
  pm_model* model = nullptr;
  pm_device* where = nullptr;
  pm_device_options options = {};
  options.struct_size = sizeof options;
  options.select = device.empty() ? nullptr : device.c_str();
  pm_load_options load = {};
  load.struct_size = sizeof load;
  load.context = context;
  pm_memory memory = {};
  memory.struct_size = sizeof memory;
  pm_model_info info = {};
  info.struct_size = sizeof info;
  const bool good = pm_model_open(path.c_str(), &model, &error) == PM_OK &&
                    pm_model_describe(model, &info, &error) == PM_OK &&
                    pm_device_open(&options, &where, &error) == PM_OK &&
                    pm_model_inspect(model, where, &load, &memory, &error) == PM_OK;
  if (!good) fit.trouble = error.text;
  if (info.architecture) {
    fit.name = info.name[0] ? info.name : "";
    fit.architecture = info.architecture;
    fit.weights = info.weights;
  }
  fit.context = memory.context;
  fit.needs = memory.total;
  fit.available = memory.available;
  pm_model_close(model);
  pm_device_close(where);
  return fit;
}

std::vector<DeviceChoice> list_devices() {
  pm_device_info rows[16] = {};
  for (pm_device_info& row : rows) row.struct_size = sizeof row;
  uint32_t count = 16;
  std::vector<DeviceChoice> found;
  if (pm_device_list(rows, &count, nullptr) != PM_OK) return found;
  for (uint32_t i = 0; i < count && i < 16; ++i)
    found.push_back({rows[i].name, rows[i].unusable, rows[i].memory, rows[i].memory_free,
                     rows[i].is_software != 0});
  return found;
}

Inspector::~Inspector() {
  for (std::thread& thread : threads_) thread.join();
}

void Inspector::start(std::function<void()> work) {
  threads_.emplace_back([this, work = std::move(work)] {
    work();
    wake_();
  });
}

void Inspector::ask(std::string path, std::string device, uint32_t context) {
  start([this, path = std::move(path), device = std::move(device), context] {
    Fit fit = inspect_model(path, device, context);
    std::lock_guard lock(mutex_);
    fit_ = std::move(fit);
  });
}

void Inspector::ask_devices() {
  start([this] {
    auto devices = list_devices();
    std::lock_guard lock(mutex_);
    devices_ = std::move(devices);
  });
}

std::optional<Fit> Inspector::take_fit() {
  std::lock_guard lock(mutex_);
  return std::exchange(fit_, std::nullopt);
}

std::optional<std::vector<DeviceChoice>> Inspector::take_devices() {
  std::lock_guard lock(mutex_);
  return std::exchange(devices_, std::nullopt);
}

}  // namespace pumice::chat
