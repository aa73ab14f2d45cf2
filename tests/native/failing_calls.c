// Loaded before all other libraries: makes the N-th call of some functions of the C library fail, and sets the clocks
// back. What is to fail is told by `fail_call`, from the process itself; nothing fails before.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static struct {
  char function[32];
  char folder[512];  // only of files in it, where a call has a path; empty for all
  int error;
  atomic_long left;  // calls until the one that fails; 0 when none will
  size_t least_bytes;
} fault;

static _Atomic long long set_back_ns;
static atomic_long ticks_until_set_back;

void fail_call(const char* function, const char* folder, int error, long nth, size_t least_bytes) {
  snprintf(fault.function, sizeof fault.function, "%s", function);
  snprintf(fault.folder, sizeof fault.folder, "%s", folder);
  fault.error = error;
  fault.least_bytes = least_bytes;
  atomic_store(&fault.left, nth);
}

// How many calls are still to come before the one that would fail; 0 when it has failed.
long calls_left(void) { return atomic_load(&fault.left); }

void set_clocks_back(long long nanoseconds, long after_readings) {
  atomic_store(&set_back_ns, nanoseconds);
  atomic_store(&ticks_until_set_back, after_readings);
}

static int fails(const char* function) {
  if (atomic_load(&fault.left) <= 0 || strcmp(function, fault.function) != 0) return 0;
  if (atomic_fetch_sub(&fault.left, 1) != 1) return 0;
  errno = fault.error;
  return 1;
}

static int path_fails(const char* function, const char* path) {
  return path != NULL && strncmp(path, fault.folder, strlen(fault.folder)) == 0 && fails(function);
}

static int file_fails(const char* function, int file) {
  if (atomic_load(&fault.left) <= 0 || strcmp(function, fault.function) != 0) return 0;
  char link[64], path[1024];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return path_fails(function, path);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define REPLACE_OPEN(name)                              \
  int name(const char* path, int flags, ...) {          \
    va_list more;                                       \
    va_start(more, flags);                              \
    const mode_t mode = va_arg(more, mode_t);           \
    va_end(more);                                       \
    if (path_fails("open", path)) return -1;            \
    return REAL(name)(path, flags, mode);               \
  }
REPLACE_OPEN(open)
REPLACE_OPEN(open64)

ssize_t write(int file, const void* from, size_t count) {
  return file_fails("write", file) ? -1 : REAL(write)(file, from, count);
}
ssize_t pwrite64(int file, const void* from, size_t count, off64_t at) {
  return file_fails("write", file) ? -1 : REAL(pwrite64)(file, from, count, at);
}
ssize_t read(int file, void* to, size_t count) { return file_fails("read", file) ? -1 : REAL(read)(file, to, count); }
ssize_t pread64(int file, void* to, size_t count, off64_t at) {
  return file_fails("read", file) ? -1 : REAL(pread64)(file, to, count, at);
}
int fsync(int file) { return file_fails("fsync", file) ? -1 : REAL(fsync)(file); }
int fdatasync(int file) { return file_fails("fsync", file) ? -1 : REAL(fdatasync)(file); }
int ftruncate64(int file, off64_t size) { return file_fails("ftruncate", file) ? -1 : REAL(ftruncate64)(file, size); }
int close(int file) {
  if (!file_fails("close", file)) return REAL(close)(file);
  const int error = errno;
  REAL(close)(file);
  errno = error;
  return -1;
}
int rename(const char* from, const char* to) { return path_fails("rename", to) ? -1 : REAL(rename)(from, to); }
int mkdir(const char* path, mode_t mode) { return path_fails("mkdir", path) ? -1 : REAL(mkdir)(path, mode); }
void* mmap(void* at, size_t size, int protection, int flags, int file, off_t offset) {
  return file >= 0 && file_fails("mmap", file) ? MAP_FAILED : REAL(mmap)(at, size, protection, flags, file, offset);
}
void* mmap64(void* at, size_t size, int protection, int flags, int file, off64_t offset) {
  return file >= 0 && file_fails("mmap", file) ? MAP_FAILED : REAL(mmap64)(at, size, protection, flags, file, offset);
}

// Not found with dlsym, which takes memory itself.
extern void* __libc_malloc(size_t);
extern void* __libc_realloc(void*, size_t);
extern void* __libc_calloc(size_t, size_t);
extern void* __libc_memalign(size_t, size_t);
static int memory_fails(size_t bytes) { return bytes >= fault.least_bytes && fault.least_bytes > 0 && fails("malloc"); }
void* malloc(size_t bytes) { return memory_fails(bytes) ? NULL : __libc_malloc(bytes); }
void* calloc(size_t count, size_t bytes) { return memory_fails(count * bytes) ? NULL : __libc_calloc(count, bytes); }
void* realloc(void* old, size_t bytes) { return memory_fails(bytes) ? NULL : __libc_realloc(old, bytes); }
int posix_memalign(void** to, size_t alignment, size_t bytes) {
  if (memory_fails(bytes)) return ENOMEM;
  *to = __libc_memalign(alignment, bytes);
  return *to == NULL ? ENOMEM : 0;
}
void* aligned_alloc(size_t alignment, size_t bytes) {
  return memory_fails(bytes) ? NULL : __libc_memalign(alignment, bytes);
}

int clock_gettime(clockid_t clock, struct timespec* now) {
  static __typeof__(&clock_gettime) real;
  if (real == NULL) real = REAL(clock_gettime);
  const int result = real(clock, now);
  const long long back = atomic_load(&set_back_ns);
  if (result != 0 || back == 0 || (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)) return result;
  if (atomic_load(&ticks_until_set_back) > 0 && atomic_fetch_sub(&ticks_until_set_back, 1) > 0) return result;
  const long long ns = (long long)now->tv_sec * 1000000000LL + now->tv_nsec - back;
  now->tv_sec = ns / 1000000000LL;
  now->tv_nsec = ns % 1000000000LL;
  return result;
}
