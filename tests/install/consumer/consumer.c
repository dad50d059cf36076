/* A stranger's first program: no model there, and a line that says so. */
#include <pumice.h>
#include <stdio.h>

int main(void) {
  pm_error error = {sizeof error, PM_OK, ""};
  pm_model* model = NULL;
  if (pm_model_open("there-is-no-such-file.gguf", &model, &error) != PM_NOT_FOUND) return 1;
  printf("pumice %s: %s\n", pm_version(), error.text);
  return 0;
}
