/* The shortest whole program on pumice: ask a model one question, print the answer as it comes.
 *
 *   cc embed_minimal.c $(pkg-config --cflags --libs pumice) -o embed_minimal
 *   ./embed_minimal model.gguf "Why does pumice float?"
 *
 * A game would do the loop's body once per frame, with the microseconds that the frame can spare.
 */
#include <pumice.h>
#include <stdio.h>

static int failed(const char* doing, const pm_error* error) {
  fprintf(stderr, "%s: %s\n", doing, error->text);
  return 1;
}

/* Reads and writes in slices of 8 ms until the answer is done. */
static int answer(pm_session* session, const char* question) {
  pm_error error = {sizeof error, PM_OK, ""};
  pm_activity activity = PM_READING;
  if (pm_session_say(session, PM_USER, question, &error)) return failed("say", &error);
  while (activity != PM_IDLE) {
    char text[256];
    if (pm_session_step(session, 8000, &activity, &error)) return failed("step", &error);
    while (pm_session_read(session, text, sizeof text, NULL) == PM_OK && text[0] != '\0')
      fputs(text, stdout);
    fflush(stdout);
  }
  putchar('\n');
  return 0;
}

int main(int count, char** arguments) {
  pm_error error = {sizeof error, PM_OK, ""};
  pm_device* device = NULL;
  pm_model* model = NULL;
  pm_session* session = NULL;
  pm_session_options options = {sizeof options};
  pm_sampling sampling = PM_SAMPLING_DEFAULTS;
  int result;
  if (count != 3) {
    fprintf(stderr, "usage: embed_minimal MODEL.gguf QUESTION\n");
    return 2;
  }
  sampling.max_tokens = 256;
  options.sampling = &sampling;

  if (pm_device_open(NULL, &device, &error))
    result = failed("device", &error);
  else if (pm_model_open(arguments[1], &model, &error))
    result = failed("open", &error);
  else if (pm_model_load(model, device, NULL, &error))
    result = failed("load", &error);
  else if (pm_session_open(model, &options, &session, &error))
    result = failed("session", &error);
  else
    result = answer(session, arguments[2]);

  pm_session_close(session); /* NULL is allowed */
  pm_model_close(model);
  pm_device_close(device);
  return result;
}
