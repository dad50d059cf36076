/* How a program uses pumice, from the first call to the last; every step is checked.
 * Usage: tutorial MODEL.gguf */
#include <math.h>

#include "check.h"

enum { kText = 8192 };

static const pm_sampling kGreedy = {sizeof(pm_sampling), 0, 0, 0, 0, 0, 0, 24, 0};

/* 1. Which devices are there? Ask for the count, then for the rows. */
static void list_devices(void) {
  pm_error error = {sizeof error, PM_OK, ""};
  pm_device_info rows[4];
  uint32_t count = 0, i;
  MUST(pm_device_list(NULL, &count, &error));
  CHECK(count > 0);
  for (i = 0; i < 4; ++i) rows[i].struct_size = sizeof rows[i];
  count = 4;
  MUST(pm_device_list(rows, &count, &error));
  printf("the best of %u devices is %s\n", count, rows[0].name);
  CHECK(rows[0].index == 0 && rows[0].name[0]);
}

/* 2. What is in the file, and would it fit? No device is touched for that. */
static void look_at(pm_model* model, pm_device* device, const pm_load_options* options,
                    pm_memory* memory) {
  pm_error error = {sizeof error, PM_OK, ""};
  pm_model_info info = {sizeof info};
  pm_memory anywhere = {sizeof anywhere};
  MUST(pm_model_describe(model, &info, &error));
  printf("%s: %s, %llu weights, template %s\n", info.name, info.architecture,
         (unsigned long long)info.weights, info.chat_template);
  CHECK(!info.loaded && info.unsupported[0] == '\0');
  CHECK(strcmp(info.chat_template, "chatml") == 0);
  MUST(pm_model_inspect(model, NULL, options, &anywhere, &error));
  memory->struct_size = sizeof *memory;
  MUST(pm_model_inspect(model, device, options, memory, &error));
  printf("it takes %llu bytes here, at most %llu anywhere; %llu are free\n",
         (unsigned long long)memory->total, (unsigned long long)anywhere.total,
         (unsigned long long)memory->available);
  CHECK(memory->total == memory->weights + memory->cache + memory->scratch + memory->staging);
  CHECK(memory->total <= anywhere.total && memory->context == 256 && memory->available > 0);
}

/* 3. Weights go to the device once. Progress can be shown, and the load cancelled. */
static int show_progress(void* user, uint64_t done, uint64_t total) {
  CHECK(done <= total);
  *(uint64_t*)user = done;
  return 0;
}

/* 4. A frame of a game: a slice of work, then whatever text came of it. */
static void talk(pm_session* session, char* text) {
  pm_error error = {sizeof error, PM_OK, ""};
  pm_session_info info = {sizeof info};
  pm_message message = {sizeof message};
  MUST(pm_session_say(session, PM_SYSTEM, "You are a stone.", &error));
  MUST(pm_session_say(session, PM_USER, "why do you float", &error));
  MUST(pm_session_describe(session, &info, &error));
  CHECK(info.activity == PM_READING && info.unread == info.tokens && info.context == 256);
  finish_answer(session, text, kText);
  MUST(pm_session_describe(session, &info, &error));
  printf("it says \"%s\" (%u tokens, %.0f tokens/s)\n", text, info.answer_tokens,
         info.tokens_per_second);
  CHECK(info.activity == PM_IDLE && info.unread == 0 && info.prompt_tokens > 20);
  CHECK(info.ending == PM_TOKEN_LIMIT && info.answer_tokens == 24);
  CHECK(info.answer_seconds > 0 && info.prompt_seconds > 0 && info.seconds_per_token > 0);
  CHECK(pm_session_count(session) == 3);
  MUST(pm_session_message(session, 2, &message, &error));
  CHECK(message.role == PM_ASSISTANT && message.tokens == 24 && strcmp(message.text, text) == 0);
}

/* 5. The user presses Stop: the answer ends where it is, and stays part of the conversation. */
static void stop(pm_session* session) {
  pm_error error = {sizeof error, PM_OK, ""};
  pm_activity activity = PM_IDLE;
  pm_message message = {sizeof message};
  MUST(pm_session_say(session, PM_USER, "and the sea", &error));
  begin_answer(session);
  pm_session_stop(session);
  MUST(pm_session_step(session, UINT32_MAX, &activity, &error));
  CHECK(activity == PM_IDLE);
  MUST(pm_session_message(session, 4, &message, &error));
  CHECK(message.ending == PM_STOPPED && message.tokens >= 1 && message.tokens < 24);
}

/* 6. Another answer to the same question: rewind to it, with another seed or the same. To edit the
 * question: rewind to before it, say the better one. */
static void rewind_and_edit(pm_session* session, const char* first) {
  static char again[kText], other[kText];
  pm_error error = {sizeof error, PM_OK, ""};
  pm_sampling lively = PM_SAMPLING_DEFAULTS;
  MUST(pm_session_rewind(session, 2, &error));
  finish_answer(session, again, kText);
  CHECK(strcmp(first, again) == 0);
  lively.seed = 7;
  lively.temperature = 2;
  lively.max_tokens = 24;
  MUST(pm_session_set_sampling(session, &lively, &error));
  MUST(pm_session_rewind(session, 2, &error));
  finish_answer(session, again, kText);
  CHECK(strcmp(first, again) != 0);
  MUST(pm_session_rewind(session, 2, &error));
  finish_answer(session, other, kText);
  CHECK(strcmp(other, again) == 0); /* the seed decides */
  MUST(pm_session_set_sampling(session, &kGreedy, &error));
  MUST(pm_session_rewind(session, 1, &error));
  MUST(pm_session_say(session, PM_USER, "do you float", &error));
  finish_answer(session, other, kText);
  CHECK(pm_session_count(session) == 3);
}

/* 7. A save game: the conversation in a few hundred bytes, loaded by another session in the middle
 * of an answer. Both go on with the same words, because the model was loaded as deterministic. */
static void save_and_load(pm_model* model, pm_session* session) {
  static char state[kText], rest[kText], loaded_rest[kText];
  pm_error error = {sizeof error, PM_OK, ""};
  pm_session_options options = {sizeof options};
  pm_session* other = NULL;
  pm_activity activity = PM_IDLE;
  pm_session_info info = {sizeof info};
  size_t size = 0, needed = 0;
  MUST(pm_session_say(session, PM_USER, "tell me more", &error));
  for (info.activity = PM_READING; info.activity != PM_WRITING || info.answer_tokens < 5;) {
    MUST(pm_session_step(session, 0, &activity, &error));
    MUST(pm_session_describe(session, &info, &error));
    CHECK(activity == info.activity && activity != PM_IDLE);
  }
  MUST(pm_session_save(session, 0, NULL, 0, &needed, &error));
  MUST(pm_session_save(session, 0, state, sizeof state, &size, &error));
  CHECK(size == needed && size < 400);
  options.sampling = &kGreedy;
  MUST(pm_session_open(model, &options, &other, &error));
  MUST(pm_session_load(other, state, size, &error));
  CHECK(pm_session_count(other) == pm_session_count(session));
  finish_answer(session, rest, kText);
  finish_answer(other, loaded_rest, kText);
  CHECK(rest[0] && strcmp(rest, loaded_rest) == 0);
  state[size / 2] ^= 4; /* a bit that the disk turned */
  REFUSED(PM_BAD_FILE, "damaged", pm_session_load(other, state, size, &error));
  CHECK(pm_session_count(other) == pm_session_count(session));
  pm_session_close(other);
}

/* With what the model has read in it, the state is larger, and a load has nothing to read. */
static void save_the_cache(pm_session* session) {
  pm_error error = {sizeof error, PM_OK, ""};
  pm_session_info info = {sizeof info};
  static char text[kText], again[kText];
  size_t plain = 0, size = 0;
  char* state;
  MUST(pm_session_say(session, PM_USER, "and then", &error));
  begin_answer(session);
  MUST(pm_session_save(session, 0, NULL, 0, &plain, &error));
  MUST(pm_session_save(session, PM_SAVE_CACHE, NULL, 0, &size, &error));
  CHECK(size > plain + 1000);
  state = malloc(size);
  CHECK(state != NULL);
  MUST(pm_session_save(session, PM_SAVE_CACHE, state, size, &size, &error));
  finish_answer(session, text, kText);
  MUST(pm_session_load(session, state, size, &error));
  MUST(pm_session_describe(session, &info, &error));
  CHECK(info.activity == PM_WRITING && info.unread == 1); /* the token that came last */
  finish_answer(session, again, kText);
  CHECK(text[0] && strcmp(text, again) == 0);
  free(state);
}

/* 8. Two characters of a game share the weights. Each remembers its own conversation, and after the
 * first tokens nothing is allocated or compiled any more. */
static void two_sessions(pm_model* model) {
  static char text[2][kText], alone[kText];
  pm_error error = {sizeof error, PM_OK, ""};
  pm_session_options options = {sizeof options};
  pm_session* sessions[2];
  pm_model_info before = {sizeof before}, after = {sizeof after};
  pm_activity activity[2] = {PM_READING, PM_READING};
  const char* questions[2] = {"who are you", "what is the time"};
  size_t used[2] = {0, 0}, length = 0;
  int i;
  options.sampling = &kGreedy;
  for (i = 0; i < 2; ++i) {
    MUST(pm_session_open(model, &options, &sessions[i], &error));
    MUST(pm_session_say(sessions[i], PM_USER, questions[i], &error));
    begin_answer(sessions[i]);
  }
  MUST(pm_model_describe(model, &before, &error));
  for (i = 0; activity[0] != PM_IDLE || activity[1] != PM_IDLE; i = 1 - i) {
    MUST(pm_session_step(sessions[i], 0, &activity[i], &error));
    MUST(pm_session_read(sessions[i], text[i] + used[i], kText - used[i], &length));
    used[i] += length;
  }
  MUST(pm_model_describe(model, &after, &error));
  CHECK(before.allocations == after.allocations && before.pipelines == after.pipelines);
  pm_session_close(sessions[1]);
  MUST(pm_session_rewind(sessions[0], 0, &error));
  MUST(pm_session_say(sessions[0], PM_USER, questions[1], &error));
  finish_answer(sessions[0], alone, kText);
  CHECK(strcmp(alone, text[1]) == 0); /* its neighbour had changed nothing */
  pm_session_close(sessions[0]);
}

int main(int count, char** arguments) {
  static char text[kText];
  pm_error error = {sizeof error, PM_OK, ""};
  pm_load_options options = {sizeof options};
  pm_session_options greedy = {sizeof greedy};
  pm_memory planned;
  pm_model_info info = {sizeof info};
  pm_device* device = NULL;
  pm_model* model = NULL;
  pm_session* session = NULL;
  uint64_t loaded = 0;
  CHECK(count == 2);

  list_devices();
  MUST(pm_device_open(NULL, &device, &error));
  MUST(pm_model_open(arguments[1], &model, &error));
  options.context = 256;
  options.sessions = 2;
  options.deterministic = 1;
  options.paced = 1;
  options.progress = show_progress;
  options.user = &loaded;
  look_at(model, device, &options, &planned);

  MUST(pm_model_load(model, device, &options, &error));
  pm_device_close(device); /* the model keeps what it needs */
  MUST(pm_model_describe(model, &info, &error));
  printf("loaded in %.2f s on %s: %s\n", info.load_seconds, info.device, info.configuration);
  CHECK(loaded > 0 && info.loaded && info.sessions == 2);
  CHECK(fabs((double)info.device_bytes - (double)planned.total) < 0.02 * (double)planned.total);

  greedy.sampling = &kGreedy;
  MUST(pm_session_open(model, &greedy, &session, &error));
  talk(session, text);
  stop(session);
  rewind_and_edit(session, text);
  save_and_load(model, session);
  save_the_cache(session);
  pm_session_close(session);
  two_sessions(model);
  pm_model_close(model);
  printf("done\n");
  return 0;
}
