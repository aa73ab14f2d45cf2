// A Vulkan driver that ends the process as soon as it is loaded, or never comes back: what broken ones do.
#include <stdlib.h>
#include <unistd.h>

__attribute__((constructor)) static void start(void) {
  if (getenv("DRIVER_HANGS") != NULL) {
    for (;;) sleep(1);
  }
  abort();
}
