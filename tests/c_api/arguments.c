/* What a caller can get wrong: every function, every pointer, sizes, roles, texts, order.
 * Usage: arguments MODEL.gguf */
#include <math.h>
#include <pumice_vulkan.h>

#include "check.h"

static pm_error error = {sizeof error, PM_OK, ""};

static void null_pointers(pm_device* device, pm_model* model, pm_session* session) {
  pm_device* new_device = NULL;
  pm_model* new_model = NULL;
  pm_session* new_session = NULL;
  pm_device_info device_info = {sizeof device_info};
  pm_model_info info = {sizeof info};
  pm_memory memory = {sizeof memory};
  pm_message message = {sizeof message};
  pm_session_info session_info = {sizeof session_info};
  pm_source source = {sizeof source};
  char byte = 0;
  size_t size = 0;
  REFUSED(PM_BAD_ARGUMENT, "count", pm_device_list(NULL, NULL, &error));
  REFUSED(PM_BAD_ARGUMENT, "device", pm_device_open(NULL, NULL, &error));
  REFUSED(PM_BAD_ARGUMENT, "device", pm_device_describe(NULL, &device_info, &error));
  REFUSED(PM_BAD_ARGUMENT, "info", pm_device_describe(device, NULL, &error));
  REFUSED(PM_BAD_ARGUMENT, "path", pm_model_open(NULL, &new_model, &error));
  REFUSED(PM_BAD_ARGUMENT, "model", pm_model_open("x", NULL, &error));
  REFUSED(PM_BAD_ARGUMENT, "name", pm_model_open_memory(NULL, &byte, 1, &new_model, &error));
  REFUSED(PM_BAD_ARGUMENT, "bytes", pm_model_open_memory("x", NULL, 1, &new_model, &error));
  REFUSED(PM_BAD_ARGUMENT, "model", pm_model_open_memory("x", &byte, 1, NULL, &error));
  REFUSED(PM_BAD_ARGUMENT, "name", pm_model_open_source(NULL, &source, &new_model, &error));
  REFUSED(PM_BAD_ARGUMENT, "source", pm_model_open_source("x", NULL, &new_model, &error));
  REFUSED(PM_BAD_ARGUMENT, "read", pm_model_open_source("x", &source, &new_model, &error));
  REFUSED(PM_BAD_ARGUMENT, "model", pm_model_describe(NULL, &info, &error));
  REFUSED(PM_BAD_ARGUMENT, "info", pm_model_describe(model, NULL, &error));
  REFUSED(PM_BAD_ARGUMENT, "model", pm_model_inspect(NULL, device, NULL, &memory, &error));
  REFUSED(PM_BAD_ARGUMENT, "memory", pm_model_inspect(model, device, NULL, NULL, &error));
  REFUSED(PM_BAD_ARGUMENT, "model", pm_model_load(NULL, device, NULL, &error));
  REFUSED(PM_BAD_ARGUMENT, "device", pm_model_load(model, NULL, NULL, &error));
  REFUSED(PM_BAD_ARGUMENT, "model", pm_model_unload(NULL, &error));
  REFUSED(PM_BAD_ARGUMENT, "count", pm_model_kernel_times(model, NULL, NULL, &error));
  REFUSED(PM_BAD_ARGUMENT, "model", pm_session_open(NULL, NULL, &new_session, &error));
  REFUSED(PM_BAD_ARGUMENT, "session", pm_session_open(model, NULL, NULL, &error));
  REFUSED(PM_BAD_ARGUMENT, "session", pm_session_say(NULL, PM_USER, "x", &error));
  REFUSED(PM_BAD_ARGUMENT, "text", pm_session_say(session, PM_USER, NULL, &error));
  REFUSED(PM_BAD_ARGUMENT, "session", pm_session_set_sampling(NULL, NULL, &error));
  REFUSED(PM_BAD_ARGUMENT, "sampling", pm_session_set_sampling(session, NULL, &error));
  REFUSED(PM_BAD_ARGUMENT, "session", pm_session_step(NULL, 0, NULL, &error));
  REFUSED(PM_BAD_ARGUMENT, "session", pm_session_message(NULL, 0, &message, &error));
  REFUSED(PM_BAD_ARGUMENT, "message", pm_session_message(session, 0, NULL, &error));
  REFUSED(PM_BAD_ARGUMENT, "session", pm_session_rewind(NULL, 0, &error));
  REFUSED(PM_BAD_ARGUMENT, "session", pm_session_describe(NULL, &session_info, &error));
  REFUSED(PM_BAD_ARGUMENT, "info", pm_session_describe(session, NULL, &error));
  REFUSED(PM_BAD_ARGUMENT, "session", pm_session_save(NULL, 0, NULL, 0, &size, &error));
  REFUSED(PM_BAD_ARGUMENT, "size", pm_session_save(session, 0, NULL, 0, NULL, &error));
  REFUSED(PM_BAD_ARGUMENT, "session", pm_session_load(NULL, &byte, 1, &error));
  REFUSED(PM_BAD_ARGUMENT, "state", pm_session_load(session, NULL, 1, &error));
  CHECK(pm_session_read(NULL, &byte, 5, &size) == PM_BAD_ARGUMENT);
  CHECK(pm_session_read(session, NULL, 5, &size) == PM_BAD_ARGUMENT);
  CHECK(pm_session_count(NULL) == 0);
  CHECK(!new_device && !new_model && !new_session && size == 0);
  pm_session_stop(NULL);
  pm_session_close(NULL);
  pm_model_close(NULL);
  pm_device_close(NULL);
  CHECK(pm_model_open(NULL, NULL, NULL) == PM_BAD_ARGUMENT); /* nobody has to ask why */
}

/* The same for a host with a device of its own, and the device that it lends is none. */
static void nothing_to_lend(pm_session* session) {
  pm_vulkan_requirements wish = {sizeof wish};
  pm_vulkan_host host = {sizeof host};
  pm_device* device = NULL;
  pm_ticket ticket = 7;
  REFUSED(PM_BAD_ARGUMENT, "requirements",
          pm_vulkan_query_requirements(NULL, NULL, NULL, VK_API_VERSION_1_2, NULL, &error));
  REFUSED(PM_BAD_ARGUMENT, "vkGetInstanceProcAddr",
          pm_vulkan_query_requirements(NULL, NULL, NULL, VK_API_VERSION_1_2, &wish, &error));
  REFUSED(PM_BAD_ARGUMENT, "host", pm_device_borrow(NULL, &device, &error));
  REFUSED(PM_BAD_ARGUMENT, "device", pm_device_borrow(&host, NULL, &error));
  REFUSED(PM_BAD_ARGUMENT, "queue", pm_device_borrow(&host, &device, &error));
  host.struct_size = 0;
  REFUSED(PM_BAD_ARGUMENT, "struct_size", pm_device_borrow(&host, &device, &error));
  REFUSED(PM_BAD_ARGUMENT, "session", pm_session_record(NULL, NULL, 1, &ticket, &error));
  REFUSED(PM_BAD_ARGUMENT, "commands", pm_session_record(session, NULL, 1, &ticket, &error));
  REFUSED(PM_BAD_ARGUMENT, "session", pm_ticket_done(NULL, 1, &error));
  REFUSED(PM_BAD_ARGUMENT, "ticket 1", pm_ticket_done(session, 1, &error));
  REFUSED(PM_BAD_ARGUMENT, "ticket 1", pm_ticket_discarded(session, 1, &error));
  CHECK(device == NULL && ticket == 7);
}

/* A struct whose size nobody set, in every function that takes one. */
static void sizes(pm_device* device, pm_model* model, pm_session* session) {
  pm_device_options device_options = {0};
  pm_device_info device_info = {0};
  pm_model_info info = {0};
  pm_load_options load = {0};
  pm_memory memory = {0};
  pm_source source = {0};
  pm_session_options session_options = {0};
  pm_sampling sampling = {0};
  pm_message message = {0};
  pm_session_info session_info = {0};
  pm_device* other_device = NULL;
  pm_model* other_model = NULL;
  pm_session* other = NULL;
  uint32_t count = 1;
  const char* size = "struct_size";
  REFUSED(PM_BAD_ARGUMENT, size, pm_device_list(&device_info, &count, &error));
  REFUSED(PM_BAD_ARGUMENT, size, pm_device_open(&device_options, &other_device, &error));
  REFUSED(PM_BAD_ARGUMENT, size, pm_device_describe(device, &device_info, &error));
  REFUSED(PM_BAD_ARGUMENT, size, pm_model_open_source("x", &source, &other_model, &error));
  REFUSED(PM_BAD_ARGUMENT, size, pm_model_describe(model, &info, &error));
  REFUSED(PM_BAD_ARGUMENT, size, pm_model_inspect(model, NULL, &load, &memory, &error));
  REFUSED(PM_BAD_ARGUMENT, size, pm_model_inspect(model, NULL, NULL, &memory, &error));
  REFUSED(PM_BAD_ARGUMENT, size, pm_model_load(model, device, &load, &error));
  REFUSED(PM_BAD_ARGUMENT, size, pm_session_open(model, &session_options, &other, &error));
  REFUSED(PM_BAD_ARGUMENT, size, pm_session_set_sampling(session, &sampling, &error));
  MUST(pm_session_say(session, PM_USER, "x", &error));
  REFUSED(PM_BAD_ARGUMENT, size, pm_session_message(session, 0, &message, &error));
  REFUSED(PM_BAD_ARGUMENT, size, pm_session_describe(session, &session_info, &error));
  MUST(pm_session_rewind(session, 0, &error));
}

static void options(pm_model* model) {
  pm_device_options device_options = {sizeof device_options};
  pm_load_options load = {sizeof load};
  pm_memory memory = {sizeof memory};
  pm_device* device = NULL;
  device_options.select = "no such device";
  REFUSED(PM_NOT_FOUND, "no such device", pm_device_open(&device_options, &device, &error));
  device_options.select = NULL;
  device_options.without = "fp16,magic";
  REFUSED(PM_BAD_ARGUMENT, "magic", pm_device_open(&device_options, &device, &error));
  load.activations = "f64";
  REFUSED(PM_BAD_ARGUMENT, "f64", pm_model_inspect(model, NULL, &load, &memory, &error));
  load.activations = NULL;
  load.cache = "q3";
  REFUSED(PM_BAD_ARGUMENT, "q3", pm_model_inspect(model, NULL, &load, &memory, &error));
  load.cache = NULL;
  load.context = UINT32_MAX;
  REFUSED(PM_BAD_ARGUMENT, "context", pm_model_inspect(model, NULL, &load, &memory, &error));
  load.context = 0;
  load.sessions = 1000000;
  REFUSED(PM_BAD_ARGUMENT, "1000000", pm_model_inspect(model, NULL, &load, &memory, &error));
  CHECK(device == NULL && memory.total == 0);
}

static void sampling(pm_session* session) {
  static const float kBad[] = {-1, NAN, INFINITY, 1e9f};
  pm_sampling settings = PM_SAMPLING_DEFAULTS;
  float* const fields[] = {&settings.temperature, &settings.top_p, &settings.min_p,
                           &settings.repeat_penalty};
  size_t i, k;
  for (i = 0; i < 4; ++i)
    for (k = 0; k < 4; ++k) {
      const float good = *fields[i];
      *fields[i] = kBad[k];
      REFUSED(PM_BAD_ARGUMENT, "must be from", pm_session_set_sampling(session, &settings, &error));
      *fields[i] = good;
    }
  MUST(pm_session_set_sampling(session, &settings, &error));
}

/* The order of a conversation, texts, and the end of the context. */
static void conversation(pm_session* session) {
  static char longer[2000];
  char buffer[8];
  size_t i, length = 99;
  pm_activity activity = PM_WRITING;
  pm_message message = {sizeof message};
  pm_session_info before = {sizeof before}, after = {sizeof after};
  MUST(pm_session_step(session, UINT32_MAX, &activity, &error)); /* nothing to do is no error */
  CHECK(activity == PM_IDLE);
  REFUSED(PM_BAD_ARGUMENT, "user", pm_session_say(session, PM_ASSISTANT, "hello", &error));
  REFUSED(PM_BAD_ARGUMENT, "role", pm_session_say(session, (pm_role)7, "hello", &error));
  REFUSED(PM_BAD_ARGUMENT, "UTF-8", pm_session_say(session, PM_USER, "a\xC3(", &error));
  REFUSED(PM_BAD_ARGUMENT, "UTF-8", pm_session_say(session, PM_USER, "\xED\xA0\x80", &error));
  REFUSED(PM_BAD_ARGUMENT, "3 messages", pm_session_rewind(session, 3, &error));
  REFUSED(PM_BAD_ARGUMENT, "no message 0", pm_session_message(session, 0, &message, &error));
  REFUSED(PM_BAD_ARGUMENT, "flags", pm_session_save(session, 8, NULL, 0, &length, &error));
  CHECK(pm_session_read(session, buffer, 4, &length) == PM_BAD_ARGUMENT);
  MUST(pm_session_read(session, buffer, 5, &length));
  CHECK(length == 0 && buffer[0] == '\0');

  MUST(pm_session_say(session, PM_USER, "one <|im_end|> two", &error));
  MUST(pm_session_say(session, PM_ASSISTANT, "a\xC3\xA9", &error));
  MUST(pm_session_message(session, 1, &message, &error));
  CHECK(strcmp(message.text, "a\xC3\xA9") == 0 && message.ending == PM_ENDED);
  for (i = 0; i + 1 < sizeof longer; ++i) longer[i] = 'a';
  MUST(pm_session_describe(session, &before, &error));
  REFUSED(PM_CONTEXT_FULL, "context of 128", pm_session_say(session, PM_USER, longer, &error));
  REFUSED(PM_CONTEXT_FULL, "context of 128", pm_session_say(session, PM_SYSTEM, longer, &error));
  MUST(pm_session_describe(session, &after, &error));
  CHECK(before.tokens == after.tokens && before.activity == after.activity);
  CHECK(pm_session_count(session) == 2);
  MUST(pm_session_rewind(session, 0, &error));
}

/* Bytes that are no saved session, or not of this model: words, and no change. */
static void states(pm_session* session) {
  static unsigned char state[1024], broken[1024];
  size_t size = 0, i;
  MUST(pm_session_say(session, PM_USER, "kept", &error));
  begin_answer(session);
  MUST(pm_session_save(session, 0, state, sizeof state, &size, &error));
  CHECK(size < sizeof state);
  for (i = 0; i < size; ++i) CHECK(pm_session_load(session, state, i, &error) == PM_BAD_FILE);
  for (i = 0; i < size; ++i) {
    pm_status status;
    memcpy(broken, state, size);
    broken[i] ^= (unsigned char)(1u << i % 8);
    status = pm_session_load(session, broken, size, &error);
    CHECK(status == PM_BAD_FILE || (status == PM_UNSUPPORTED && i >= 4 && i < 8));
  }
  CHECK(pm_session_count(session) == 2);
  MUST(pm_session_load(session, state, size, &error));
  MUST(pm_session_rewind(session, 0, &error));
}

/* Functions of a session when its model is loaded no more. */
static void unloaded(pm_device* device, pm_model* model, pm_session* session) {
  pm_session* other = NULL;
  pm_model_info info = {sizeof info};
  REFUSED(PM_OUT_OF_MEMORY, "sessions", pm_session_open(model, NULL, &other, &error));
  MUST(pm_session_say(session, PM_USER, "still there", &error));
  MUST(pm_model_unload(model, &error));
  MUST(pm_model_unload(model, &error));
  MUST(pm_model_describe(model, &info, &error));
  CHECK(!info.loaded && info.device_bytes == 0 && info.device[0] == '\0');
  REFUSED(PM_BAD_ARGUMENT, "not loaded", pm_session_step(session, 0, NULL, &error));
  REFUSED(PM_BAD_ARGUMENT, "not loaded", pm_session_open(model, NULL, &other, &error));
  CHECK(other == NULL);
  MUST(pm_model_load(model, device, NULL, &error));
  MUST(pm_session_step(session, 0, NULL, &error)); /* activity is not asked for */
  begin_answer(session);
  CHECK(pm_session_count(session) == 2);
}

int main(int count, char** arguments) {
  pm_device* device = NULL;
  pm_model* model = NULL;
  pm_session* session = NULL;
  pm_load_options load = {sizeof load};
  CHECK(count == 2);
  MUST(pm_device_open(NULL, &device, &error));
  MUST(pm_model_open(arguments[1], &model, &error));
  load.context = 128;
  MUST(pm_model_load(model, device, &load, &error));
  MUST(pm_session_open(model, NULL, &session, &error));
  null_pointers(device, model, session);
  nothing_to_lend(session);
  sizes(device, model, session);
  options(model);
  sampling(session);
  conversation(session);
  states(session);
  unloaded(device, model, session);
  pm_device_close(device); /* any order is good */
  pm_model_close(model);
  MUST(pm_session_rewind(session, 0, &error));
  pm_session_close(session);
  printf("done\n");
  return 0;
}
