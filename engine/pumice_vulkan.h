/* pumice on a Vulkan device that the host lends: a game's own. The rules of pumice.h hold here too.
 *
 *   1. Before vkCreateDevice, ask what pumice has a use for, and enable what you like of it:
 *        pm_vulkan_requirements wish = {sizeof wish};
 *        pm_vulkan_query_requirements(vkGetInstanceProcAddr, instance, physical_device,
 *                                     VK_API_VERSION_1_2, &wish, &error);
 *   2. Lend the device, saying what you enabled; load a model on it as on any other:
 *        pm_vulkan_host host = {sizeof host};
 *        ...
 *        pm_device_borrow(&host, &device, &error);
 *        pm_model_load(model, device, &options, &error);
 *   3. Either call pm_session_step as usual: pumice submits to your queue, inside your lock. Or let
 *      every frame's own commands carry a slice of the work:
 *        pm_ticket ticket;
 *        pm_session_record(session, commands, 2000, &ticket, &error);
 *        ... submit; later, when the fence of the frame has been waited for:
 *        if (ticket != 0) pm_ticket_done(session, ticket, &error);
 *      and read the answer with pm_session_read.
 *
 * Instance, physical device, device and queue stay yours: pumice destroys nothing of them, uses no
 * feature that you did not name, and waits for its own work only. They must outlive every model
 * that was loaded on the borrowed device. Nothing here may run while the device is being destroyed.
 */
#ifndef PUMICE_VULKAN_H
#define PUMICE_VULKAN_H

#include <vulkan/vulkan_core.h>

#include "pumice.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Features of a device that pumice has a use for. None is needed: Vulkan 1.2 with a compute queue
 * is. Each is enabled through the member named beside it. */
typedef enum pm_vulkan_feature {
  PM_VULKAN_ROBUST_BUFFER_ACCESS = 1 << 0,  /* VkPhysicalDeviceFeatures.robustBufferAccess */
  PM_VULKAN_SHADER_INT16 = 1 << 1,          /* VkPhysicalDeviceFeatures.shaderInt16 */
  PM_VULKAN_SHADER_INT64 = 1 << 2,          /* VkPhysicalDeviceFeatures.shaderInt64 */
  PM_VULKAN_STORAGE_16BIT = 1 << 3,         /* ...Vulkan11Features.storageBuffer16BitAccess */
  PM_VULKAN_STORAGE_8BIT = 1 << 4,          /* ...Vulkan12Features.storageBuffer8BitAccess */
  PM_VULKAN_SHADER_FLOAT16 = 1 << 5,        /* ...Vulkan12Features.shaderFloat16 */
  PM_VULKAN_SHADER_INT8 = 1 << 6,           /* ...Vulkan12Features.shaderInt8 */
  PM_VULKAN_TIMELINE_SEMAPHORE = 1 << 7,    /* ...Vulkan12Features.timelineSemaphore */
  PM_VULKAN_SUBGROUP_SIZE_CONTROL = 1 << 8, /* ...SubgroupSizeControlFeatures, that member */
  PM_VULKAN_FULL_SUBGROUPS = 1 << 9,        /* ...SubgroupSizeControlFeatures */
  PM_VULKAN_INTEGER_DOT_PRODUCT = 1 << 10   /* ...ShaderIntegerDotProductFeatures */
} pm_vulkan_feature;

typedef struct pm_vulkan_requirements {
  uint32_t struct_size;      /* sizeof(pm_vulkan_requirements) */
  uint32_t features;         /* pm_vulkan_feature bits that this device has */
  uint32_t queue_family;     /* that suits best; any with compute will do */
  uint32_t extension_count;  /* device extensions that those features need at this version: */
  const char* extensions[4]; /* their names; they live as long as the library */
} pm_vulkan_requirements;

/* Creates nothing. `api_version` is that of your VkApplicationInfo. PM_NO_DEVICE, with the reasons,
 * where pumice cannot run on the device. */
PM_API pm_status pm_vulkan_query_requirements(PFN_vkGetInstanceProcAddr get_instance_proc_addr,
                                              VkInstance instance, VkPhysicalDevice physical_device,
                                              uint32_t api_version,
                                              pm_vulkan_requirements* requirements,
                                              pm_error* error);

typedef struct pm_vulkan_host {
  uint32_t struct_size; /* sizeof(pm_vulkan_host) */
  uint32_t api_version; /* of VkApplicationInfo, at least 1.2 */
  PFN_vkGetInstanceProcAddr get_instance_proc_addr;
  VkInstance instance;
  VkPhysicalDevice physical_device;
  VkDevice device;
  VkQueue queue;
  uint32_t queue_family; /* of `queue`; it has compute */
  uint32_t features;     /* pm_vulkan_feature bits that you enabled */
  uint32_t debug_utils;  /* 1: VK_EXT_debug_utils is enabled: pumice names and labels its work */
  uint32_t time_kernels; /* this and the last two as in pm_device_options */
  const VkAllocationCallbacks* allocator; /* copied; NULL = the driver's own. A load compiles on
                                           * several threads: it must bear calls from all of them */
  /* Called around every submission of pumice, both on the thread that submits, which during
   * pm_model_load may be one of pumice; never nested, and not to be held by a thread that calls
   * pumice. NULL: no other thread uses the queue during calls of pumice. */
  void (*lock_queue)(void* user);
  void (*unlock_queue)(void* user);
  void* user;
  const char* without;
  const char* pipeline_cache;
} pm_vulkan_host;

/* Looks at the device and keeps a copy of *host; pm_model_load creates what the model needs.
 * PM_NO_DEVICE where pumice cannot run on it, with the reasons. */
PM_API pm_status pm_device_borrow(const pm_vulkan_host* host, pm_device** device, pm_error* error);

/* A slice of work in one of your command buffers; 0 is none. */
typedef uint64_t pm_ticket;

/* Writes the session's next work into `commands`: at most `budget_us` microseconds of the device's
 * time as far as measurements tell, at least one piece (0: just that). The buffer is a primary one,
 * recording, outside of a render pass; afterwards the bound compute pipeline, sets and push
 * constants are not what they were. Submit it to the borrowed queue, once, in the order of the
 * tickets, or never. Sets *ticket to 0 and writes nothing while there is nothing to do, while the
 * next token waits for the reports of the last, and while 8 tickets are out: ask again in the next
 * frame. Sessions of a model take turns, token by token: what is written may be the rest of
 * another's token. Load the model with `paced`, or the first slices are guesses. */
PM_API pm_status pm_session_record(pm_session* session, VkCommandBuffer commands,
                                   uint32_t budget_us, pm_ticket* ticket, pm_error* error);

/* Every ticket is reported exactly once, in any order, through any session of the model: done, when
 * the queue has finished its command buffer (a fence or semaphore of that submission was waited
 * for); or discarded, when the buffer will never be submitted, also after a loss of the device:
 * what it held is then written again by later calls (all of the token where younger slices have run
 * meanwhile: report a discard before you submit more). As long as tickets are out, pm_session_step
 * and PM_SAVE_CACHE of the model's sessions, pm_model_load and pm_model_unload fail with
 * PM_BAD_ARGUMENT; report them before you close the model's last session. */
PM_API pm_status pm_ticket_done(pm_session* session, pm_ticket ticket, pm_error* error);
PM_API pm_status pm_ticket_discarded(pm_session* session, pm_ticket ticket, pm_error* error);

#ifdef __cplusplus
}
#endif

#endif
