// Behind the public header: devices and models. Checks arguments and translates; no logic.
#include "engine/pumice.h"

#include <map>
#include <mutex>
#include <string>

#include "engine/model/architectures.h"
#include "engine/pumice_border.h"
#include "engine/pumice_objects.h"
#include "engine/session/inspect.h"
#include "engine/session/option_words.h"
#include "engine/text/chat_template.h"

namespace {

using namespace pumice;
using namespace pumice::border;

pm_device_info info_of(const vk::DeviceSummary& summary) {
  pm_device_info info = {};
  info.index = summary.index;
  copy_text(info.name, summary.caps.device_name);
  copy_text(info.unusable, summary.unusable);
  info.memory = summary.caps.device_memory;
  info.memory_free = summary.caps.device_memory_free;
  info.is_software = summary.caps.is_cpu;
  return info;
}

/// The host's own file layer behind ByteSource: one call at a time.
class CallbackSource final : public ByteSource {
 public:
  CallbackSource(std::string name, const pm_source& source)
      : name_(std::move(name)), source_(source) {}
  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] uint64_t size() const override { return source_.size; }
  [[nodiscard]] Result<void> read(uint64_t offset, std::span<std::byte> into) const override {
    if (offset > size() || into.size() > size() - offset)
      return fail(ErrorCode::BadArgument, "{}: bytes {}+{} are outside its {} bytes", name_, offset,
                  into.size(), size());
    const std::lock_guard lock(mutex_);
    const int answer = source_.read(source_.user, offset, into.data(), into.size());
    if (answer == 0) return {};
    return fail(ErrorCode::Io, "{}: the read callback answered {} for bytes {}+{}", name_, answer,
                offset, into.size());
  }
  [[nodiscard]] Result<std::span<const std::byte>> map() const override {
    return fail(ErrorCode::Unsupported, "{}: can only be read", name_);
  }

 private:
  std::string name_;
  pm_source source_;
  mutable std::mutex mutex_;
};

Result<void> adopt(Result<std::shared_ptr<const GgufFile>> opened, pm_model** out) {
  PUMICE_TRY(opened);
  auto model = std::make_unique<pm_model>(std::move(*opened));
  const GgufFile& file = model->shared->file();
  const Metadata& metadata = file.metadata();
  PUMICE_TRY_ASSIGN(model->architecture, metadata.get_string("general.architecture"));
  PUMICE_TRY_ASSIGN(model->name, metadata.get_string_or("general.name", ""));
  PUMICE_TRY_ASSIGN(model->context_length,
                    metadata.get_u32_or(model->architecture + ".context_length", 0));
  for (const TensorInfo& tensor : file.tensors()) model->weights += tensor.n_weights;
  if (const auto config = model::read_config(file); !config)
    model->unsupported = config.error().text;
  if (const auto format = metadata.get_string_or("tokenizer.chat_template", ""))
    if (const auto known = ChatTemplate::recognise(*format)) model->chat_template = known->name();
  *out = model.release();
  return {};
}

Result<RunOptions> run_options(const pm_load_options& given) {
  constexpr uint32_t kMostSessions = 64;
  RunOptions run;
  run.context = given.context;
  run.max_sequences = std::max(given.sessions, 1u);
  if (given.chunk != 0) run.max_chunk = given.chunk;
  run.deterministic = given.deterministic != 0;
  if (run.max_sequences > kMostSessions)
    return fail(ErrorCode::BadArgument, "{} sessions; the most is {}", run.max_sequences,
                kMostSessions);
  if (given.activations) {
    PUMICE_TRY_ASSIGN(run.activations, parse_activations(given.activations, "activations"));
  }
  if (given.cache) {
    PUMICE_TRY_ASSIGN(run.cache, parse_cache(given.cache, "cache"));
  }
  return run;
}

Result<LoadOptions> load_options(const pm_device& device, const pm_load_options& given) {
  LoadOptions load;
  PUMICE_TRY_ASSIGN(load.run, run_options(given));
  load.device = device.options;
  load.open_device = device.open;
  load.paced = given.paced != 0;
  if (given.progress)
    load.progress = [given](uint64_t done, uint64_t total) {
      return given.progress(given.user, done, total) == 0;
    };
  return load;
}

std::string text_or_empty(const char* text) {
  return text ? text : "";
}

/// "blk.3 attention" is one of many dispatches called "attention".
std::string_view family_of(std::string_view label) {
  return label.starts_with("blk.") ? label.substr(std::min(label.find(' ') + 1, label.size()))
                                   : label;
}

std::vector<pm_kernel_time> by_family(const std::vector<vk::Timing>& timings) {
  std::map<std::string_view, double> families;
  for (const vk::Timing& timing : timings) families[family_of(timing.label)] += timing.microseconds;
  std::vector<pm_kernel_time> rows;
  for (const auto& [name, microseconds] : families) {
    pm_kernel_time row = {};
    row.microseconds = float(microseconds);
    copy_text(row.name, name);
    rows.push_back(row);
  }
  std::stable_sort(rows.begin(), rows.end(), [](const pm_kernel_time& a, const pm_kernel_time& b) {
    return a.microseconds > b.microseconds;
  });
  return rows;
}

}  // namespace

// ---- devices

pm_status pm_device_list(pm_device_info* rows, uint32_t* count, pm_error* error) {
  return guarded(error, [&]() -> Result<void> {
    PUMICE_TRY(require("pm_device_list", {{"count", count}}));
    PUMICE_TRY_ASSIGN(const auto devices, vk::list_devices());
    std::vector<pm_device_info> infos;
    for (const vk::DeviceSummary& device : devices) infos.push_back(info_of(device));
    return write_rows<pm_device_info>("pm_device_list", rows, count, infos);
  });
}

pm_status pm_device_open(const pm_device_options* options, pm_device** device, pm_error* error) {
  return guarded(error, [&]() -> Result<void> {
    PUMICE_TRY(require("pm_device_open", {{"device", device}}));
    PUMICE_TRY_ASSIGN(const pm_device_options given, read_struct("pm_device_open", options));
    auto made = std::make_unique<pm_device>();
    vk::DeviceOptions& chosen = made->options;
    chosen.select = text_or_empty(given.select);
    chosen.pipeline_cache = text_or_empty(given.pipeline_cache);
    chosen.timestamps = given.time_kernels != 0;
    PUMICE_TRY_ASSIGN(chosen.without, parse_mask(text_or_empty(given.without), "without"));
    made->look = [chosen] { return vk::find_device(chosen); };
    PUMICE_TRY(made->look());
    *device = made.release();
    return {};
  });
}

void pm_device_close(pm_device* device) {
  delete device;
}

pm_status pm_device_describe(const pm_device* device, pm_device_info* info, pm_error* error) {
  return guarded(error, [&]() -> Result<void> {
    PUMICE_TRY(require("pm_device_describe", {{"device", device}, {"info", info}}));
    PUMICE_TRY_ASSIGN(const vk::DeviceSummary summary, device->look());
    return write_struct("pm_device_describe", info, info_of(summary));
  });
}

// ---- models

pm_status pm_model_open(const char* path, pm_model** model, pm_error* error) {
  return guarded(error, [&]() -> Result<void> {
    PUMICE_TRY(require("pm_model_open", {{"path", path}, {"model", model}}));
    return adopt(open_gguf(std::string(path)), model);
  });
}

pm_status pm_model_open_memory(const char* name, const void* bytes, size_t size, pm_model** model,
                               pm_error* error) {
  return guarded(error, [&]() -> Result<void> {
    PUMICE_TRY(
        require("pm_model_open_memory", {{"name", name}, {"bytes", bytes}, {"model", model}}));
    const std::span data(static_cast<const std::byte*>(bytes), size);
    return adopt(open_gguf(borrow_memory(name, data)), model);
  });
}

pm_status pm_model_open_source(const char* name, const pm_source* source, pm_model** model,
                               pm_error* error) {
  return guarded(error, [&]() -> Result<void> {
    PUMICE_TRY(
        require("pm_model_open_source", {{"name", name}, {"source", source}, {"model", model}}));
    PUMICE_TRY_ASSIGN(const pm_source given, read_struct("pm_model_open_source", source));
    if (given.read == nullptr)
      return fail(ErrorCode::BadArgument, "pm_model_open_source: read must not be NULL");
    return adopt(open_gguf(std::make_shared<CallbackSource>(name, given)), model);
  });
}

void pm_model_close(pm_model* model) {
  delete model;
}

pm_status pm_model_describe(const pm_model* model, pm_model_info* info, pm_error* error) {
  return guarded(error, [&]() -> Result<void> {
    PUMICE_TRY(require("pm_model_describe", {{"model", model}, {"info", info}}));
    const GgufFile& file = model->shared->file();
    model->usage = model->shared->usage();
    pm_model_info full = {};
    full.context_length = model->context_length;
    full.architecture = model->architecture.c_str();
    full.name = model->name.c_str();
    full.weights = model->weights;
    full.tensor_bytes = file.tensor_bytes();
    full.tensors = file.tensors().size();
    full.chat_template = model->chat_template.c_str();
    full.unsupported = model->unsupported.c_str();
    full.loaded = model->usage.loaded;
    full.sessions = model->usage.free_places;
    full.device = model->usage.device.c_str();
    full.configuration = model->usage.configuration.c_str();
    full.device_bytes = model->usage.device_bytes;
    full.allocations = model->usage.allocations;
    full.pipelines = model->usage.pipelines;
    full.load_seconds = model->usage.load_seconds;
    return write_struct("pm_model_describe", info, full);
  });
}

pm_status pm_model_inspect(const pm_model* model, const pm_device* device,
                           const pm_load_options* options, pm_memory* memory, pm_error* error) {
  return guarded(error, [&]() -> Result<void> {
    PUMICE_TRY(require("pm_model_inspect", {{"model", model}, {"memory", memory}}));
    PUMICE_TRY_ASSIGN(const pm_load_options given, read_struct("pm_model_inspect", options));
    PUMICE_TRY_ASSIGN(const RunOptions run, run_options(given));
    pm_memory full = {};
    Result<ModelNeeds> needs;
    if (device != nullptr) {
      PUMICE_TRY_ASSIGN(const vk::DeviceSummary summary, device->look());
      full.available = summary.caps.device_memory_free;
      needs = inspect_model(model->shared->file(), summary.caps, run);
    } else {
      needs = inspect_model(model->shared->file(), run);
    }
    PUMICE_TRY(needs);
    full.context = needs->context;
    full.weights = needs->weights;
    full.cache = needs->cache;
    full.scratch = needs->scratch;
    full.staging = needs->staging;
    full.total = needs->total();
    return write_struct("pm_model_inspect", memory, full);
  });
}

pm_status pm_model_load(pm_model* model, pm_device* device, const pm_load_options* options,
                        pm_error* error) {
  return guarded(error, [&]() -> Result<void> {
    PUMICE_TRY(require("pm_model_load", {{"model", model}, {"device", device}}));
    PUMICE_TRY_ASSIGN(const pm_load_options given, read_struct("pm_model_load", options));
    PUMICE_TRY_ASSIGN(LoadOptions load, load_options(*device, given));
    return model->shared->load(std::move(load));
  });
}

pm_status pm_model_unload(pm_model* model, pm_error* error) {
  return guarded(error, [&]() -> Result<void> {
    PUMICE_TRY(require("pm_model_unload", {{"model", model}}));
    return model->shared->unload();
  });
}

pm_status pm_model_kernel_times(const pm_model* model, pm_kernel_time* rows, uint32_t* count,
                                pm_error* error) {
  return guarded(error, [&]() -> Result<void> {
    PUMICE_TRY(require("pm_model_kernel_times", {{"model", model}, {"count", count}}));
    PUMICE_TRY_ASSIGN(const auto timings, model->shared->timings());
    return write_rows<pm_kernel_time>("pm_model_kernel_times", rows, count, by_family(timings));
  });
}
