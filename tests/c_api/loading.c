/* Where a model can come from, and loads that end early: memory, callbacks, refusals, cancelling.
 * Usage: loading MODEL.gguf */
#include "check.h"

static pm_error error = {sizeof error, PM_OK, ""};

typedef struct Pak {
  const char* bytes;
  uint64_t size, reads, fail_at;
} Pak;

static int read_pak(void* user, uint64_t offset, void* into, size_t bytes) {
  Pak* pak = user;
  CHECK(offset <= pak->size && bytes <= pak->size - offset);
  if (++pak->reads == pak->fail_at) return -5;
  memcpy(into, pak->bytes + offset, bytes);
  return 0;
}

static int cancel_at_once(void* user, uint64_t done, uint64_t total) {
  (void)done;
  (void)total;
  ++*(int*)user;
  return 1;
}

static Pak read_file(const char* path) {
  Pak pak = {NULL, 0, 0, 0};
  FILE* file = fopen(path, "rb");
  char* bytes;
  CHECK(file && fseek(file, 0, SEEK_END) == 0);
  pak.size = (uint64_t)ftell(file);
  bytes = malloc((size_t)pak.size);
  CHECK(bytes && fseek(file, 0, SEEK_SET) == 0);
  CHECK(fread(bytes, 1, (size_t)pak.size, file) == pak.size);
  fclose(file);
  pak.bytes = bytes;
  return pak;
}

/* The first words that the model says, from wherever it came. */
static void greet(pm_model* model, pm_device* device, char* text, size_t capacity) {
  pm_sampling greedy = {sizeof greedy};
  pm_session_options options = {sizeof options};
  pm_session* session = NULL;
  greedy.max_tokens = 8;
  options.sampling = &greedy;
  MUST(pm_model_load(model, device, NULL, &error));
  MUST(pm_session_open(model, &options, &session, &error));
  MUST(pm_session_say(session, PM_USER, "hello", &error));
  finish_answer(session, text, capacity);
  pm_session_close(session);
}

static void sources(pm_device* device, const char* path, Pak* pak) {
  char texts[3][512];
  pm_model* models[3] = {NULL, NULL, NULL};
  pm_source source = {sizeof source};
  int i;
  source.size = pak->size;
  source.read = read_pak;
  source.user = pak;
  MUST(pm_model_open(path, &models[0], &error));
  MUST(pm_model_open_memory("pak/hero.gguf", pak->bytes, (size_t)pak->size, &models[1], &error));
  MUST(pm_model_open_source("pak/hero.gguf", &source, &models[2], &error));
  for (i = 0; i < 3; ++i) greet(models[i], device, texts[i], sizeof texts[i]);
  for (i = 0; i < 3; ++i) pm_model_close(models[i]);
  CHECK(texts[0][0] && !strcmp(texts[0], texts[1]) && !strcmp(texts[0], texts[2]));
  CHECK(pak->reads > 0);
}

/* A pak that fails at the n-th read. */
static void failing_reads(pm_device* device, Pak* pak) {
  pm_source source = {sizeof source};
  uint64_t all, n;
  pm_model* model = NULL;
  source.size = pak->size;
  source.read = read_pak;
  source.user = pak;
  pak->reads = 0;
  MUST(pm_model_open_source("pak", &source, &model, &error));
  MUST(pm_model_load(model, device, NULL, &error));
  pm_model_close(model);
  all = pak->reads;
  for (n = 1; n <= all; n = n < 3 ? n + 1 : n * 2) {
    pm_status status;
    model = NULL;
    pak->reads = 0;
    pak->fail_at = n;
    status = pm_model_open_source("pak", &source, &model, &error);
    CHECK((status == PM_OK) == (model != NULL));
    if (status == PM_OK) status = pm_model_load(model, device, NULL, &error);
    CHECK(status == PM_IO && strstr(error.text, "-5"));
    pm_model_close(model);
  }
  pak->fail_at = 0;
}

static void cancelled(pm_device* device, const char* path) {
  pm_load_options options = {sizeof options};
  pm_model_info info = {sizeof info};
  pm_model* model = NULL;
  char text[512];
  int calls = 0;
  options.progress = cancel_at_once;
  options.user = &calls;
  MUST(pm_model_open(path, &model, &error));
  REFUSED(PM_CANCELLED, "cancelled", pm_model_load(model, device, &options, &error));
  CHECK(calls >= 1);
  MUST(pm_model_describe(model, &info, &error));
  CHECK(!info.loaded && info.device_bytes == 0);
  greet(model, device, text, sizeof text); /* and nothing is broken */
  CHECK(text[0]);
  pm_model_close(model);
}

/* Kernel times are for who asked; the pipeline cache is a file. */
static void timed(const char* path) {
  pm_device_options options = {sizeof options};
  pm_kernel_time rows[64];
  uint32_t count = 0, i;
  pm_device* device = NULL;
  pm_model* model = NULL;
  char text[512];
  options.time_kernels = 1;
  MUST(pm_device_open(&options, &device, &error));
  MUST(pm_model_open(path, &model, &error));
  MUST(pm_model_kernel_times(model, NULL, &count, &error));
  CHECK(count == 0);
  greet(model, device, text, sizeof text);
  MUST(pm_model_kernel_times(model, NULL, &count, &error));
  CHECK(count > 4 && count <= 64);
  for (i = 0; i < count; ++i) rows[i].struct_size = sizeof rows[i];
  MUST(pm_model_kernel_times(model, rows, &count, &error));
  for (i = 1; i < count; ++i) CHECK(rows[i - 1].microseconds >= rows[i].microseconds);
  printf("%u kinds of kernel; longest: %s, %.1f us\n", count, rows[0].name, rows[0].microseconds);
  pm_model_close(model);
  pm_device_close(device);
}

int main(int count, char** arguments) {
  pm_device* device = NULL;
  Pak pak;
  CHECK(count == 2);
  MUST(pm_device_open(NULL, &device, &error));
  pak = read_file(arguments[1]);
  sources(device, arguments[1], &pak);
  failing_reads(device, &pak);
  cancelled(device, arguments[1]);
  timed(arguments[1]);
  pm_device_close(device);
  free((void*)pak.bytes);
  printf("done\n");
  return 0;
}
