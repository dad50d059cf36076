/* What the programs of this folder share: a check that tells where it failed, and reading a whole
 * answer. */
#ifndef PUMICE_TESTS_CHECK_H
#define PUMICE_TESTS_CHECK_H

#include <pumice.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                        \
  do {                                                                          \
    if (!(condition)) {                                                         \
      fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
      exit(1);                                                                  \
    }                                                                           \
  } while (0)

/* A call that must succeed; `error` is a variable of the caller. */
#define MUST(call)                                                               \
  do {                                                                           \
    const pm_status must_status = (call);                                        \
    if (must_status != PM_OK) {                                                  \
      fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, error.text); \
      exit(must_status == PM_NO_DEVICE ? 77 : 1); /* 77: ctest skips */          \
    }                                                                            \
  } while (0)

/* A call that must fail, with the status and with words that say why. */
#define REFUSED(expected, word, call)                                       \
  do {                                                                      \
    error.text[0] = '\0';                                                   \
    const pm_status refused_status = (call);                                \
    if (refused_status != (expected) || !strstr(error.text, word)) {        \
      fprintf(stderr, "%s:%d: %s: %s: \"%s\"\n", __FILE__, __LINE__, #call, \
              pm_status_text(refused_status), error.text);                  \
      exit(1);                                                              \
    }                                                                       \
  } while (0)

/* Steps until the model has written something, or all. */
static inline void begin_answer(pm_session* session) {
  pm_error error = {sizeof error, PM_OK, ""};
  pm_activity activity = PM_READING;
  while (activity == PM_READING) MUST(pm_session_step(session, 0, &activity, &error));
}

/* Steps until the answer is done; what was read goes to `text` (as much as fits). */
static inline void finish_answer(pm_session* session, char* text, size_t capacity) {
  pm_error error = {sizeof error, PM_OK, ""};
  pm_activity activity = PM_READING;
  size_t used = 0;
  while (activity != PM_IDLE) {
    size_t length = 0;
    MUST(pm_session_step(session, 2000, &activity, &error));
    do {
      MUST(pm_session_read(session, text + used, capacity - used, &length));
      used += length;
    } while (length > 0);
  }
}

#endif
