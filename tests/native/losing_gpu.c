// A Vulkan driver that passes everything on to another one and loses its device: after so many submissions each further
// one returns VK_ERROR_DEVICE_LOST. LOSING_GPU_DRIVER is the other driver, LOSING_GPU_AFTER how many go well.
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef void (*Function)(void);
typedef Function (*GetInstance)(void*, const char*);
typedef Function (*GetDevice)(void*, const char*);
typedef int32_t (*Submit)(void*, uint32_t, const void*, uint64_t);
enum { kDeviceLost = -4 };

static atomic_long submissions;
static Submit real_submit, real_submit2;
static GetDevice real_get_device;

static Function real(const char* name) {
  static void* driver;
  if (driver == NULL) driver = dlopen(getenv("LOSING_GPU_DRIVER"), RTLD_NOW | RTLD_LOCAL);
  return driver == NULL ? NULL : (Function)dlsym(driver, name);
}

static int is_lost(void) {
  const char* after = getenv("LOSING_GPU_AFTER");
  return atomic_fetch_add(&submissions, 1) >= (after == NULL ? 0 : atol(after));
}
static int32_t submit(void* queue, uint32_t count, const void* what, uint64_t fence) {
  return is_lost() ? kDeviceLost : real_submit(queue, count, what, fence);
}
static int32_t submit2(void* queue, uint32_t count, const void* what, uint64_t fence) {
  return is_lost() ? kDeviceLost : real_submit2(queue, count, what, fence);
}

static Function replaced(const char* name, Function found) {
  if (found == NULL) return NULL;
  if (strcmp(name, "vkQueueSubmit") == 0) {
    real_submit = (Submit)found;
    return (Function)submit;
  }
  if (strcmp(name, "vkQueueSubmit2") == 0 || strcmp(name, "vkQueueSubmit2KHR") == 0) {
    real_submit2 = (Submit)found;
    return (Function)submit2;
  }
  return found;
}

static Function get_device(void* device, const char* name) { return replaced(name, real_get_device(device, name)); }

Function vk_icdGetInstanceProcAddr(void* instance, const char* name) {
  const Function found = ((GetInstance)real("vk_icdGetInstanceProcAddr"))(instance, name);
  if (strcmp(name, "vkGetDeviceProcAddr") == 0 && found != NULL) {
    real_get_device = (GetDevice)found;
    return (Function)get_device;
  }
  return replaced(name, found);
}
Function vk_icdGetPhysicalDeviceProcAddr(void* instance, const char* name) {
  const GetInstance get = (GetInstance)real("vk_icdGetPhysicalDeviceProcAddr");
  return get == NULL ? NULL : get(instance, name);
}
int32_t vk_icdNegotiateLoaderICDInterfaceVersion(uint32_t* version) {
  return ((int32_t(*)(uint32_t*))real("vk_icdNegotiateLoaderICDInterfaceVersion"))(version);
}
