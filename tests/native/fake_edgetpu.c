// Looks like libedgetpu, without a device: the same exports and keys, and the same traps. Options beside "device" are
// dropped silently unless the device has an index, nothing is reported when opening fails, and edgetpu_create_delegate
// ends the process when an option comes without a device name. Takes the op "edgetpu-custom-op": y = x + 100.
//
// FAKE_EDGETPU_DEVICES lists the devices, as in "pci=/dev/apex_0 usb=/sys/bus/usb/devices/2-1"; FAKE_EDGETPU_RECORD
// names the file that gets a line for each device that is opened; with FAKE_EDGETPU_BUSY none can be opened.
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>

#include "tflite.h"

enum { kMost = 16 };
struct edgetpu_device { int type; const char* path; };
struct edgetpu_option { const char* name; const char* value; };

static const char* name_of(int type) { return type == 0 ? "pci" : "usb"; }

struct edgetpu_device* edgetpu_list_devices(size_t* count) {
  const char* listed = getenv("FAKE_EDGETPU_DEVICES");
  char* text = strdup(listed == NULL ? "" : listed);
  struct edgetpu_device* devices = calloc(kMost, sizeof *devices);
  char* rest = NULL;
  *count = 0;
  for (char* word = strtok_r(text, " ", &rest); word != NULL && *count < kMost; word = strtok_r(NULL, " ", &rest)) {
    devices[(*count)++] = (struct edgetpu_device){strncmp(word, "usb=", 4) == 0, strdup(word + 4)};
  }
  free(text);
  if (*count > 0) return devices;
  free(devices);
  return NULL;
}

void edgetpu_free_devices(struct edgetpu_device* devices) {
  for (size_t i = 0; i < kMost; ++i) free((char*)devices[i].path);
  free(devices);
}

const char* edgetpu_version(void) { return "BuildLabel(fake), RuntimeVersion(14)"; }

static int verbosity = -1;
void edgetpu_verbosity(int level) { verbosity = level; }
int fake_edgetpu_verbosity(void) { return verbosity; }

static void* kernel_init(Context* context, const char* buffer, size_t length) {
  (void)context; (void)length;
  const DelegateParams* params = (const DelegateParams*)buffer;
  // It takes every op by itself, and dies when the runtime groups them.
  if (params->nodes->size != 1) abort();
  int* ends = malloc(sizeof(int[2]));
  ends[0] = params->inputs->data[0];
  ends[1] = params->outputs->data[0];
  return ends;
}

static void kernel_free(Context* context, void* data) { (void)context; free(data); }

static int kernel_invoke(Context* context, Node* node) {
  const int* ends = node->user_data;
  const Tensor *in = &context->tensors[ends[0]], *out = &context->tensors[ends[1]];
  for (size_t k = 0; k < out->bytes / sizeof(float); ++k) out->data[k] = in->data[k] + 100;
  return kOk;
}

static bool wants(const Context* context, const Node* node, const Registration* registration) {
  (void)context; (void)node;
  return registration->custom_name != NULL && strcmp(registration->custom_name, "edgetpu-custom-op") == 0;
}

static int prepare(Context* context, Delegate* delegate) {
  const Registration kernel = {.init = kernel_init, .free = kernel_free, .prepare = nothing_to_prepare,
                               .invoke = kernel_invoke, .custom_name = "EdgeTpuDelegateForCustomOp"};
  return take(context, delegate, kernel, true, wants);
}

static bool is_valid(const struct edgetpu_option* option) {
  if (strcmp(option->name, "Performance") == 0) {
    const char* const all[] = {"Low", "Medium", "High", "Max"};
    for (int i = 0; i < 4; ++i) if (strcmp(option->value, all[i]) == 0) return true;
    return false;
  }
  if (strcmp(option->name, "Usb.AlwaysDfu") == 0) {
    return strcmp(option->value, "True") == 0 || strcmp(option->value, "False") == 0;
  }
  return true;
}

static Delegate* open_device(int type, const char* path, const struct edgetpu_option* options, size_t count) {
  if (getenv("FAKE_EDGETPU_BUSY") != NULL) return NULL;
  for (size_t i = 0; i < count; ++i) if (!is_valid(&options[i])) return NULL;
  const char* record = getenv("FAKE_EDGETPU_RECORD");
  FILE* file = record == NULL ? NULL : fopen(record, "a");
  if (file != NULL) {
    fprintf(file, "%s %s", name_of(type), path);
    for (size_t i = 0; i < count; ++i) fprintf(file, " %s=%s", options[i].name, options[i].value);
    fprintf(file, "\n");
    fclose(file);
  }
  Delegate* delegate = calloc(1, sizeof *delegate);
  delegate->Prepare = prepare;
  delegate->flags = kAllowDynamicTensors;
  return delegate;
}

// `type` < 0 is any; `index` < 0 is the first, PCIe before USB, and drops the options.
static Delegate* open_listed(int type, int index, const struct edgetpu_option* options, size_t count) {
  size_t listed = 0;
  struct edgetpu_device* devices = edgetpu_list_devices(&listed);
  Delegate* delegate = NULL;
  for (int wanted = 0; wanted < 2 && index < 0 && delegate == NULL; ++wanted) {
    for (size_t i = 0; i < listed && delegate == NULL; ++i) {
      const bool fits = devices[i].type == wanted && (type < 0 || type == wanted);
      if (fits) delegate = open_device(wanted, devices[i].path, NULL, 0);
    }
  }
  for (size_t i = 0; i < listed && index >= 0; ++i) {
    if (type >= 0 && devices[i].type != type) continue;
    if (index-- == 0) delegate = open_device(devices[i].type, devices[i].path, options, count);
  }
  if (devices != NULL) edgetpu_free_devices(devices);
  return delegate;
}

Delegate* edgetpu_create_delegate(int type, const char* name, const struct edgetpu_option* options, size_t count) {
  if (name == NULL && count > 0) abort();
  return name == NULL ? open_listed(type, -1, NULL, 0) : open_device(type, name, options, count);
}

void edgetpu_free_delegate(Delegate* delegate) { free(delegate); }

Delegate* tflite_plugin_create_delegate(char** keys, char** values, size_t count, void (*report)(const char*)) {
  (void)report;
  const char* device = "";
  struct edgetpu_option options[kMost];
  size_t others = 0;
  for (size_t i = 0; i < count; ++i) {
    if (strcmp(keys[i], "device") == 0) device = values[i];
    else if (others < kMost) options[others++] = (struct edgetpu_option){keys[i], values[i]};
  }
  const int type = strncmp(device, "pci", 3) == 0 ? 0 : strncmp(device, "usb", 3) == 0 ? 1 : -1;
  const char* index = type < 0 ? device : device + 3;
  if (index[0] == '\0') return open_listed(type, -1, NULL, 0);
  return index[0] == ':' ? open_listed(type, atoi(index + 1), options, others) : NULL;
}

void tflite_plugin_destroy_delegate(Delegate* delegate) { edgetpu_free_delegate(delegate); }
