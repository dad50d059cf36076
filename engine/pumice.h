/* pumice: quantised language models through Vulkan compute. This header is the interface of a
 * program that lets pumice open its own Vulkan device, and its manual; it is C99 and needs no
 * Vulkan header. pumice_vulkan.h adds what a game needs to lend its own device.
 * tests/c_api/tutorial.c is the tutorial, demo/embed_minimal.c the shortest whole program:
 *
 *   pm_model_open       a file, parsed and checked; describe and inspect it without any GPU
 *   pm_model_load       its weights onto a device, once, for all sessions
 *   pm_session_open     a conversation: pm_session_say something, then, every frame,
 *   pm_session_step     work for some microseconds, until the activity is PM_IDLE, and
 *   pm_session_read     take the text that came of it
 *
 * Rules that hold for every function:
 *   - It returns a pm_status. What it makes comes back through pointers, written only on PM_OK.
 *   - `error` may be NULL. Otherwise set error->struct_size = sizeof(pm_error) first; on failure it
 *     then holds the status and one line of text: what, where, expected, found, what to do.
 *   - Every struct starts with its size in bytes, set by the caller, so that a program built
 *     against an older header keeps working: fields beyond the given size are neither read (they
 *     count as 0) nor written. A field of 0 means the default that its comment names, a NULL
 *     pointer to options means all defaults.
 *   - Strings are UTF-8 with a terminating zero; text that is not UTF-8 is refused. Pointers that
 *     come back live until the next call that changes or closes their object.
 *   - Nothing prints, exits, aborts, throws or spins. Closing NULL is allowed; objects may be
 *     closed in any order, and what a session needs lives until it is closed.
 *   - Threads: an object is used by one thread at a time, whichever. Different objects may be used
 *     at the same time, also sessions of one model: their steps take turns, and loading one model
 *     does not stop another. pm_session_stop may be called from any thread at any time. Callbacks
 *     run during the call that they were given to, maybe on a thread of pumice, each once at a time
 *     (`progress` may run beside `read`), and call no function of this header on that model or on
 *     its sessions, pm_session_stop excepted: it would wait for itself.
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
  PM_BAD_FILE = 2,      /* the file, or a saved state, contradicts its format or itself */
  PM_UNSUPPORTED = 3,   /* well formed, but not something this build can run */
  PM_NOT_FOUND = 4,     /* a path, key, tensor or device is absent */
  PM_IO = 5,            /* the operating system, or a read callback, refused to read or write */
  PM_OUT_OF_MEMORY = 6, /* host or device memory is too small */
  PM_NO_DEVICE = 7,     /* no Vulkan driver, or no device with the baseline */
  PM_DEVICE_LOST = 8,   /* the driver lost the device: load the model again, sessions go on */
  PM_DRIVER = 9,        /* another Vulkan call failed */
  PM_CONTEXT_FULL = 10, /* the conversation does not fit its context */
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

/* ---- Devices. A device is a choice; pm_model_load creates what the model needs on it. */

typedef struct pm_device pm_device;

typedef struct pm_device_info {
  uint32_t struct_size; /* sizeof(pm_device_info) */
  uint32_t index;       /* what pm_device_options.select takes */
  char name[128];       /* "llvmpipe (LLVM 15.0.6, 256 bits)" */
  char unusable[240];   /* "" or why pumice cannot run on it */
  uint64_t memory;      /* bytes of its largest own heap; of a software driver: the host's */
  uint64_t memory_free; /* of it now, where the driver says; else = memory */
  uint32_t is_software; /* 1: a driver that computes on the CPU */
} pm_device_info;

/* Fills up to *count rows, best device first, and sets *count to how many devices there are; rows
 * may be NULL. Every row's struct_size must be set. PM_NO_DEVICE where there is no driver. */
PM_API pm_status pm_device_list(pm_device_info* rows, uint32_t* count, pm_error* error);

typedef struct pm_device_options {
  uint32_t struct_size;       /* sizeof(pm_device_options) */
  uint32_t time_kernels;      /* 1: pm_model_kernel_times has something to tell */
  const char* select;         /* index, or a part of the name; NULL = the best */
  const char* without;        /* of "fp16,dot8,subgroup,coopmat,texel": leave unused; NULL = none */
  const char* pipeline_cache; /* file for compiled pipelines, made if absent; NULL = none */
} pm_device_options;

/* Checks that the device is there and usable. */
PM_API pm_status pm_device_open(const pm_device_options* options, pm_device** device,
                                pm_error* error);
PM_API void pm_device_close(pm_device* device); /* models loaded on it are not concerned */

/* Asks the driver anew, so that memory_free is what is free now. */
PM_API pm_status pm_device_describe(const pm_device* device, pm_device_info* info, pm_error* error);

/* ---- Models: a GGUF file, mapped, parsed and checked; later also its weights on a device. */

typedef struct pm_model pm_model;

/* Opens a GGUF file; of a split model any part will do and the others are found beside it. The
 * file must stay unchanged while the model is open. */
PM_API pm_status pm_model_open(const char* path, pm_model** model, pm_error* error);

/* The same from `size` bytes that the caller keeps alive and unchanged until pm_model_close.
 * `name` is what messages call it. */
PM_API pm_status pm_model_open_memory(const char* name, const void* bytes, size_t size,
                                      pm_model** model, pm_error* error);

/* The same through a callback, for models inside a game's own files. `read` copies `bytes` bytes
 * at `offset` and returns 0, or anything else for PM_IO. It is called by pm_model_open_source,
 * pm_model_load, pm_session_save and pm_session_load. */
typedef struct pm_source {
  uint32_t struct_size; /* sizeof(pm_source) */
  uint64_t size;        /* of the file, in bytes */
  int (*read)(void* user, uint64_t offset, void* into, size_t bytes);
  void* user;
} pm_source;
PM_API pm_status pm_model_open_source(const char* name, const pm_source* source, pm_model** model,
                                      pm_error* error);

PM_API void pm_model_close(pm_model* model);

typedef struct pm_model_info {
  uint32_t struct_size;     /* sizeof(pm_model_info) */
  uint32_t context_length;  /* tokens the model was made for; 0 = the file does not say */
  const char* architecture; /* "llama"; lives as long as the model, as do the other texts */
  const char* name;         /* "" = the file does not say */
  uint64_t weights;         /* numbers in all tensors */
  uint64_t tensor_bytes;    /* what they take in the file */
  uint64_t tensors;
  const char* chat_template; /* "chatml", ...; "" = none that is known: see pm_session_options */
  const char* unsupported;   /* "" or why it cannot run */
  /* While it is loaded (texts until the next load); else 0 and "": */
  uint32_t loaded;
  uint32_t sessions;         /* places that are free */
  const char* device;        /* its name */
  const char* configuration; /* "lane kernels, int8 activations, f16 cache" */
  uint64_t device_bytes;     /* allocated for this model */
  uint64_t allocations;      /* of device memory since the load began; a step makes none */
  uint64_t pipelines;        /* compiled since the load began; a step compiles none */
  double load_seconds;
} pm_model_info;

PM_API pm_status pm_model_describe(const pm_model* model, pm_model_info* info, pm_error* error);

typedef struct pm_load_options {
  uint32_t struct_size;    /* sizeof(pm_load_options) */
  uint32_t context;        /* tokens of one session; 0 = the model's own, at most 4096 */
  uint32_t sessions;       /* that can be open at a time; 0 = 1; at least those open now */
  uint32_t chunk;          /* prompt tokens read in one go, at most; 0 = 512 */
  const char* activations; /* "auto", "f32", "q8"; NULL = auto: what is fastest on the device */
  const char* cache;       /* "f32", "f16", "q8_0/q4_0" (K/V), "q4_0+rotate"; NULL = f16 */
  uint32_t deterministic;  /* 1: the same bits however a prompt is cut, whatever runs beside it */
  uint32_t paced;          /* 1: steps will have small budgets; measures for that, a longer load */
  /* Told now and then how many bytes are done; anything but 0 cancels the load. */
  int (*progress)(void* user, uint64_t done, uint64_t total);
  void* user;
} pm_load_options;

typedef struct pm_memory {
  uint32_t struct_size; /* sizeof(pm_memory) */
  uint32_t context;     /* tokens of one session that the options come to */
  uint64_t weights, cache, scratch, staging, total; /* bytes, as pm_model_load would allocate */
  uint64_t available;                               /* on the device now; 0 without a device */
} pm_memory;

/* What a load would take, to 2 %, without one; `device` may be NULL: then an upper bound for any
 * device. Fails as pm_model_load would where the model cannot run. */
PM_API pm_status pm_model_inspect(const pm_model* model, const pm_device* device,
                                  const pm_load_options* options, pm_memory* memory,
                                  pm_error* error);

/* Brings the weights to a device; takes long. A model that is loaded already is unloaded first, so
 * that this is also the way back from PM_DEVICE_LOST and onto another device: open sessions keep
 * their conversations and read them again at their next step. On failure it is not loaded. */
PM_API pm_status pm_model_load(pm_model* model, pm_device* device, const pm_load_options* options,
                               pm_error* error);

/* Frees everything on the device; sessions stay, and step again after another load. */
PM_API pm_status pm_model_unload(pm_model* model, pm_error* error);

/* Device time of a token as measured last, by kind of kernel, longest first. */
typedef struct pm_kernel_time {
  uint32_t struct_size;
  float microseconds;
  char name[56]; /* "attention", "mat-vec", ... */
} pm_kernel_time;

/* As pm_device_list. 0 rows before the first token and where time_kernels was not asked for. */
PM_API pm_status pm_model_kernel_times(const pm_model* model, pm_kernel_time* rows, uint32_t* count,
                                       pm_error* error);

/* ---- Sessions: one conversation each, with its own place in the model's cache. */

typedef struct pm_session pm_session;

typedef enum pm_role { PM_SYSTEM = 0, PM_USER = 1, PM_ASSISTANT = 2 } pm_role;

typedef enum pm_activity {
  PM_IDLE = 0,    /* nothing to do before the next pm_session_say */
  PM_READING = 1, /* the model reads what was said */
  PM_WRITING = 2  /* the model writes its answer */
} pm_activity;

typedef enum pm_ending {
  PM_NOT_ENDED = 0,     /* still being written */
  PM_ENDED = 1,         /* the model ended it; also messages that were said */
  PM_STOP_TEXT = 2,     /* one of pm_session_options.stops came */
  PM_TOKEN_LIMIT = 3,   /* pm_sampling.max_tokens */
  PM_CONTEXT_LIMIT = 4, /* the context is full */
  PM_STOPPED = 5        /* pm_session_stop */
} pm_ending;

typedef struct pm_sampling {
  uint32_t struct_size; /* sizeof(pm_sampling) */
  float temperature;    /* 0 = always the likeliest token */
  uint32_t top_k;       /* keep the k likeliest; 0 = all */
  float top_p;          /* keep the likeliest up to this mass; 0 or 1 = all */
  float min_p;          /* drop below this share of the best; 0 = none */
  float repeat_penalty; /* divides logits of repeats; 0 or 1 = off */
  uint32_t repeat_last; /* tokens that it looks back on, at most 64; 0 = 64 */
  uint32_t max_tokens;  /* of an answer; 0 = until it ends (128 without a chat template) */
  uint64_t seed;        /* the same seed, model, device and options give the same text */
} pm_sampling;

/* What the command line uses: pm_sampling sampling = PM_SAMPLING_DEFAULTS; */
#define PM_SAMPLING_DEFAULTS \
  { sizeof(pm_sampling), 0.8f, 40, 0.95f, 0.05f, 1.0f, 64, 0, 0 }

typedef struct pm_session_options {
  uint32_t struct_size;        /* sizeof(pm_session_options) */
  uint32_t stop_count;         /* of `stops` */
  const char* const* stops;    /* texts that end an answer; not shown */
  const char* chat_template;   /* "chatml", ...; "none" = plain text; NULL = the file's, or plain */
  const pm_sampling* sampling; /* NULL = PM_SAMPLING_DEFAULTS */
} pm_session_options;

/* The model must be loaded, and have a place for one more session. */
PM_API pm_status pm_session_open(pm_model* model, const pm_session_options* options,
                                 pm_session** session, pm_error* error);
PM_API void pm_session_close(pm_session* session);

/* From the next token on. After pm_session_rewind another seed gives another answer. */
PM_API pm_status pm_session_set_sampling(pm_session* session, const pm_sampling* sampling,
                                         pm_error* error);

/* Adds a message. PM_SYSTEM: what the model should be, as the first message; said later it replaces
 * the first. PM_USER: the next step reads it and answers; an answer still being written is stopped.
 * PM_ASSISTANT: an answer to the last PM_USER that the model did not write, for examples and for
 * restoring a conversation. Marks of the chat template inside `text` are just text.
 * PM_CONTEXT_FULL: it does not fit any more; nothing was added. */
PM_API pm_status pm_session_say(pm_session* session, pm_role role, const char* text,
                                pm_error* error);

/* Reads or writes for about `budget_us` microseconds, waiting included (0: the smallest possible
 * piece; UINT32_MAX: until the answer is done) and tells what is left to do (activity may be NULL).
 * On failure the conversation is as before the token that failed, and the call can be repeated. */
PM_API pm_status pm_session_step(pm_session* session, uint32_t budget_us, pm_activity* activity,
                                 pm_error* error);

/* Moves the next part of the answer to `buffer`: whole characters, as many as there are and fit,
 * and a terminating zero; `capacity` is at least 5. *length (may be NULL) is without the zero. */
PM_API pm_status pm_session_read(pm_session* session, char* buffer, size_t capacity,
                                 size_t* length);

/* Ends the answer with what is written, at the next chance. */
PM_API void pm_session_stop(pm_session* session);

typedef struct pm_message {
  uint32_t struct_size; /* sizeof(pm_message) */
  pm_role role;
  pm_ending ending;
  uint32_t tokens;  /* that it takes in the context */
  const char* text; /* of an answer: all of it so far, read or not; white space in front left out */
} pm_message;

PM_API uint32_t pm_session_count(const pm_session* session); /* messages */
PM_API pm_status pm_session_message(const pm_session* session, uint32_t index, pm_message* message,
                                    pm_error* error);

/* Forgets all messages but the first `count`. If the last that stays is PM_USER, the next step
 * answers it (anew); to edit a message, rewind to before it and say it again. What the model has
 * read of the unchanged beginning is not read again. */
PM_API pm_status pm_session_rewind(pm_session* session, uint32_t count, pm_error* error);

typedef struct pm_session_info {
  uint32_t struct_size; /* sizeof(pm_session_info) */
  pm_activity activity;
  uint32_t tokens;  /* of all messages */
  uint32_t context; /* most that fit */
  uint32_t unread;  /* tokens that the model has yet to read */
  /* of the last answer, or of the one being written: */
  pm_ending ending;
  uint32_t prompt_tokens, answer_tokens; /* read for it (not those known before), written so far */
  double prompt_seconds, answer_seconds; /* in pm_session_step, or recorded work, for each */
  double tokens_per_second;              /* of writing */
  double seconds_per_token;              /* of the last token */
} pm_session_info;

PM_API pm_status pm_session_describe(const pm_session* session, pm_session_info* info,
                                     pm_error* error);

#define PM_SAVE_CACHE 1u /* what the model has read, too: megabytes, but nothing is read again */

/* Writes the conversation, half-written answer and sampling included, into `buffer` (may be NULL)
 * if it fits `capacity`, and sets *size to what it takes: two bytes per token it wrote, and the
 * texts. `flags`: 0 or PM_SAVE_CACHE. Loading it into a session of the same model file and chat
 * template (else PM_BAD_ARGUMENT) replaces what is there; the model reads it again at the next
 * step, and goes on with `deterministic` token for token as if nothing had happened. A saved cache
 * is used where the model is loaded with the same cache type. Bytes that are not such a state, down
 * to the last bit, are PM_BAD_FILE and change nothing. */
PM_API pm_status pm_session_save(const pm_session* session, uint32_t flags, void* buffer,
                                 size_t capacity, size_t* size, pm_error* error);
PM_API pm_status pm_session_load(pm_session* session, const void* state, size_t size,
                                 pm_error* error);

#ifdef __cplusplus
}
#endif

#endif
