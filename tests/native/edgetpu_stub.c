/* A libedgetpu with two devices, or with none after stub_unplug(): what the tests need of edgetpu_c.h. */
#include <stddef.h>
#include <stdlib.h>

struct device {
  int type;
  const char* path;
};

static int verbosity = -1, listed = 0, plugged = 1;

struct device* edgetpu_list_devices(size_t* count) {
  *count = plugged ? 2 : 0;
  if (!plugged) return NULL;
  struct device* devices = malloc(2 * sizeof *devices);
  devices[0] = (struct device){0, "/dev/apex_0"};
  devices[1] = (struct device){1, "/sys/bus/usb/devices/2-1"};
  ++listed;
  return devices;
}

void edgetpu_free_devices(struct device* devices) {
  free(devices);
  --listed;
}

void edgetpu_verbosity(int level) { verbosity = level; }

const char* edgetpu_version(void) { return "BuildLabel(STUB), RuntimeVersion(14)"; }

void stub_unplug(void) { plugged = 0; }

int stub_verbosity(void) { return verbosity; }

int stub_lists_not_freed(void) { return listed; }
