/* pumice: quantised language models through Vulkan. This header is the whole public interface and
 * its manual; it is plain C99. What is not declared here does not exist yet: version 0.1 opens and
 * describes model files; sessions follow.
 *
 * Rules that hold for every function:
 *   - It returns a pm_status. What it makes comes back through pointers, written only on PM_OK.
 *   - `error` may be NULL. Otherwise set error->struct_size = sizeof(pm_error) first; on failure it
 *     then holds the status and one line of text: what, where, expected, found.
 *   - Every struct starts with its size in bytes, set by the caller, so that a program built
 *     against an older header keeps working: fields beyond the given size are not touched.
 *   - Strings are UTF-8 with a terminating zero. Nothing prints, exits, aborts or throws.
 *   - A model may be used from several threads at once; close it when none of them does.
 *
 *   pm_error error = {sizeof error};
 *   pm_model* model;
 *   if (pm_model_open("model.gguf", &model, &error) != PM_OK) {
 *     fprintf(stderr, "%s\n", error.text);
 *     return 1;
 *   }
 *   pm_model_info info = {sizeof info};
 *   pm_model_describe(model, &info, &error);
 *   printf("%s, %llu weights\n", info.architecture, (unsigned long long)info.weights);
 *   pm_model_close(model);
 */
#ifndef PUMICE_H
#define PUMICE_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32) && defined(PUMICE_BUILDING)
#define PM_API __declspec(dllexport)
#elif defined(_WIN32)
#define PM_API __declspec(dllimport)
#else
#define PM_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define PM_VERSION_MAJOR 0
#define PM_VERSION_MINOR 1
#define PM_VERSION_PATCH 0

typedef enum pm_status {
  PM_OK = 0,
  PM_BAD_ARGUMENT = 1,  /* the caller asked for something that cannot be */
  PM_BAD_FILE = 2,      /* the file contradicts its format or itself */
  PM_UNSUPPORTED = 3,   /* well formed, but not something this build can run */
  PM_NOT_FOUND = 4,     /* a path, key, tensor or device is absent */
  PM_IO = 5,            /* the operating system refused to read or write */
  PM_OUT_OF_MEMORY = 6, /* host or device memory is too small */
  PM_NO_DEVICE = 7,     /* no Vulkan driver, or no device with the baseline */
  PM_DEVICE_LOST = 8,   /* the driver lost the device */
  PM_DRIVER = 9,        /* another Vulkan call failed */
  PM_CONTEXT_FULL = 10, /* the sequence does not fit its context */
  PM_NON_FINITE = 11,   /* the model computed NaN or infinity */
  PM_CANCELLED = 12     /* the caller stopped the work */
} pm_status;

typedef struct pm_error {
  uint32_t struct_size; /* sizeof(pm_error) */
  pm_status status;
  char text[240]; /* cut where longer; never within a character */
} pm_error;

/* "0.1.0" of the library that is loaded, which PM_VERSION_* of the header may differ from. */
PM_API const char* pm_version(void);

/* The status in a few English words, for any number. */
PM_API const char* pm_status_text(pm_status status);

/* A model file: mapped, parsed and checked. */
typedef struct pm_model pm_model;

/* Opens a GGUF file; of a split model any part will do and the others are found beside it. The
 * file must stay unchanged while the model is open. */
PM_API pm_status pm_model_open(const char* path, pm_model** model, pm_error* error);

/* The same from `size` bytes that the caller keeps alive and unchanged until pm_model_close.
 * `name` is what messages call it. */
PM_API pm_status pm_model_open_memory(const char* name, const void* bytes, size_t size,
                                      pm_model** model, pm_error* error);

/* NULL is allowed. */
PM_API void pm_model_close(pm_model* model);

typedef struct pm_model_info {
  uint32_t struct_size;     /* sizeof(pm_model_info) */
  uint32_t context_length;  /* tokens the model was made for; 0 = the file does not say */
  const char* architecture; /* "llama"; lives as long as the model, as does `name` */
  const char* name;         /* "" = the file does not say */
  uint64_t weights;         /* numbers in all tensors */
  uint64_t tensor_bytes;    /* what they take in the file */
  uint64_t tensors;
} pm_model_info;

PM_API pm_status pm_model_describe(const pm_model* model, pm_model_info* info, pm_error* error);

#ifdef __cplusplus
}
#endif

#endif
