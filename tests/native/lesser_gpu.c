// A Vulkan driver that passes everything on to another one (LESSER_GPU_DRIVER) and says that it cannot index arrays of
// uniform buffers: a feature that Dawn asks for and older drivers lack.
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef void (*Function)(void);
typedef Function (*GetInstance)(void*, const char*);
enum { kUniformBufferArrayDynamicIndexing = 33 };  // its place among the features, each of 32 bits

typedef struct {
  int32_t kind;
  void* next;
  uint32_t features[55];
} Features2;
static void (*real_features)(void*, uint32_t*);
static void (*real_features2)(void*, Features2*);

static Function real(const char* name) {
  static void* driver;
  if (driver == NULL) driver = dlopen(getenv("LESSER_GPU_DRIVER"), RTLD_NOW | RTLD_LOCAL);
  return driver == NULL ? NULL : (Function)dlsym(driver, name);
}

static void features(void* device, uint32_t* found) {
  real_features(device, found);
  found[kUniformBufferArrayDynamicIndexing] = 0;
}
static void features2(void* device, Features2* found) {
  real_features2(device, found);
  found->features[kUniformBufferArrayDynamicIndexing] = 0;
}

static Function replaced(const char* name, Function found) {
  if (found == NULL) return NULL;
  if (strcmp(name, "vkGetPhysicalDeviceFeatures") == 0) {
    real_features = (void (*)(void*, uint32_t*))found;
    return (Function)features;
  }
  if (strcmp(name, "vkGetPhysicalDeviceFeatures2") == 0 || strcmp(name, "vkGetPhysicalDeviceFeatures2KHR") == 0) {
    real_features2 = (void (*)(void*, Features2*))found;
    return (Function)features2;
  }
  return found;
}

Function vk_icdGetInstanceProcAddr(void* instance, const char* name) {
  return replaced(name, ((GetInstance)real("vk_icdGetInstanceProcAddr"))(instance, name));
}
Function vk_icdGetPhysicalDeviceProcAddr(void* instance, const char* name) {
  const GetInstance get = (GetInstance)real("vk_icdGetPhysicalDeviceProcAddr");
  return get == NULL ? NULL : replaced(name, get(instance, name));
}
int32_t vk_icdNegotiateLoaderICDInterfaceVersion(uint32_t* version) {
  typedef int32_t (*Negotiate)(uint32_t*);
  const Negotiate negotiate = (Negotiate)real("vk_icdNegotiateLoaderICDInterfaceVersion");
  return negotiate == NULL ? 0 : negotiate(version);
}
