#include "fake_engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "engine/pumice_vulkan.h"

struct pm_device {
  int unused = 0;
};

struct pm_model {
  bool loaded = false;
};

struct pm_session {
  struct Said {
    pm_role role;
    std::string text;
    uint32_t words;
    pm_ending ending;
  };
  pm_model* model;
  std::vector<Said> messages;
  std::string unread;
  uint32_t limit = 0;
  std::atomic<bool> stop = false;
};

namespace {

pumice::chat::FakeEngine& engine() {
  return pumice::chat::fake_engine();
}

pm_status failed(pm_error* error, pm_status status, const char* text) {
  if (error) {
    error->status = status;
    std::snprintf(error->text, sizeof error->text, "%s", text);
  }
  return status;
}

uint32_t words_of(const std::string& text) {
  bool inside = false;
  uint32_t words = 0;
  for (char each : text) {
    const bool letter = each != ' ' && each != '\n';
    words += letter && !inside;
    inside = letter;
  }
  return words;
}

uint32_t tokens_of(const pm_session& session) {
  uint32_t tokens = 0;
  for (const auto& each : session.messages) tokens += each.words;
  return tokens;
}

pm_activity activity_of(const pm_session& session) {
  if (session.messages.empty()) return PM_IDLE;
  const auto& last = session.messages.back();
  if (last.role == PM_USER) return PM_READING;
  return last.role == PM_ASSISTANT && last.ending == PM_NOT_ENDED ? PM_WRITING : PM_IDLE;
}

}  // namespace

pumice::chat::FakeEngine& pumice::chat::fake_engine() {
  static FakeEngine one;
  return one;
}

const char* pm_status_text(pm_status) {
  return "a failure";
}

pm_status pm_device_list(pm_device_info* rows, uint32_t* count, pm_error*) {
  if (rows && *count > 0) std::strcpy(rows[0].name, "a fake device");
  *count = 1;
  return PM_OK;
}

pm_status pm_device_open(const pm_device_options*, pm_device** device, pm_error*) {
  *device = new pm_device;
  return PM_OK;
}

pm_status pm_device_borrow(const pm_vulkan_host*, pm_device** device, pm_error*) {
  *device = new pm_device;
  ++engine().borrowed;
  return PM_OK;
}

void pm_device_close(pm_device* device) {
  delete device;
}

pm_status pm_model_open(const char* path, pm_model** model, pm_error* error) {
  if (!std::strstr(path, ".gguf")) return failed(error, PM_BAD_FILE, "this is not a model");
  *model = new pm_model;
  return PM_OK;
}

void pm_model_close(pm_model* model) {
  delete model;
}

pm_status pm_model_describe(const pm_model* model, pm_model_info* info, pm_error*) {
  info->architecture = info->name = info->chat_template = "fake";
  info->unsupported = info->configuration = "";
  info->device = "a fake device";
  info->loaded = model->loaded;
  return PM_OK;
}

pm_status pm_model_inspect(const pm_model*, const pm_device*, const pm_load_options*,
                           pm_memory* memory, pm_error*) {
  memory->total = 100;
  memory->available = engine().fits ? 200 : 50;
  return PM_OK;
}

pm_status pm_model_load(pm_model* model, pm_device*, const pm_load_options* options,
                        pm_error* error) {
  model->loaded = false;
  if (!engine().fits) return failed(error, PM_OUT_OF_MEMORY, "the device has no room for it");
  do {
    if (options->progress && options->progress(options->user, 1, 2))
      return failed(error, PM_CANCELLED, "the load was cancelled");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  } while (engine().slow);
  model->loaded = true;
  ++engine().loads;
  return PM_OK;
}

pm_status pm_model_unload(pm_model* model, pm_error*) {
  model->loaded = false;
  return PM_OK;
}

pm_status pm_model_kernel_times(const pm_model*, pm_kernel_time* rows, uint32_t* count, pm_error*) {
  for (uint32_t i = 0; i < std::min(*count, 8u); ++i) {
    rows[i].microseconds = 1000;
    std::snprintf(rows[i].name, sizeof rows[i].name, "kind %u", i);
  }
  *count = 8;
  return PM_OK;
}

pm_status pm_session_open(pm_model* model, const pm_session_options*, pm_session** session,
                          pm_error*) {
  *session = new pm_session;
  (*session)->model = model;
  return PM_OK;
}

void pm_session_close(pm_session* session) {
  delete session;
}

pm_status pm_session_set_sampling(pm_session* session, const pm_sampling* sampling, pm_error*) {
  session->limit = sampling->max_tokens;
  return PM_OK;
}

pm_status pm_session_say(pm_session* session, pm_role role, const char* text, pm_error* error) {
  const uint32_t words = words_of(text);
  if (tokens_of(*session) + words > engine().context)
    return failed(error, PM_CONTEXT_FULL, "it does not fit any more");
  session->messages.push_back({role, text, words, PM_ENDED});
  session->stop = false;
  return PM_OK;
}

pm_status pm_session_step(pm_session* session, uint32_t, pm_activity* activity, pm_error* error) {
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
  if (!session->model->loaded) return failed(error, PM_BAD_ARGUMENT, "the model is not loaded");
  if (activity_of(*session) == PM_READING)
    session->messages.push_back({PM_ASSISTANT, "", 0, PM_NOT_ENDED});
  if (activity_of(*session) == PM_WRITING) {
    auto& answer = session->messages.back();
    if (answer.words + 1 == engine().lose_at && engine().losses > 0) {
      --engine().losses;
      session->model->loaded = false;
      return failed(error, PM_DEVICE_LOST, "the device was lost");
    }
    const std::string word = fmt::format("{}{}", answer.words ? " " : "", answer.words + 1);
    answer.text += word;
    session->unread += word;
    ++answer.words;
    if (session->stop) answer.ending = PM_STOPPED;
    if (answer.words >= engine().answer) answer.ending = PM_ENDED;
    if (tokens_of(*session) >= engine().context) answer.ending = PM_CONTEXT_LIMIT;
  }
  *activity = activity_of(*session);
  return PM_OK;
}

pm_status pm_session_read(pm_session* session, char* buffer, size_t capacity, size_t* length) {
  *length = std::min(capacity - 1, session->unread.size());
  std::memcpy(buffer, session->unread.data(), *length);
  buffer[*length] = 0;
  session->unread.erase(0, *length);
  return PM_OK;
}

void pm_session_stop(pm_session* session) {
  session->stop = true;
}

uint32_t pm_session_count(const pm_session* session) {
  return static_cast<uint32_t>(session->messages.size());
}

pm_status pm_session_message(const pm_session* session, uint32_t index, pm_message* message,
                             pm_error*) {
  const auto& found = session->messages[index];
  *message = {sizeof(pm_message), found.role, found.ending, found.words, found.text.c_str()};
  return PM_OK;
}

pm_status pm_session_rewind(pm_session* session, uint32_t count, pm_error*) {
  session->messages.resize(count);
  session->unread.clear();
  return PM_OK;
}

pm_status pm_session_describe(const pm_session* session, pm_session_info* info, pm_error*) {
  info->tokens = tokens_of(*session);
  info->context = engine().context;
  if (session->messages.empty() || session->messages.back().role != PM_ASSISTANT) return PM_OK;
  info->ending = session->messages.back().ending;
  info->answer_tokens = session->messages.back().words;
  info->seconds_per_token = 0.008;
  return PM_OK;
}
