// Loaded before all other libraries: makes the N-th call of some functions of the C library fail, or end the process,
// and sets the clocks back. What is to fail is told by `fail_call`, from the process itself, or for the processes that
// it starts by a file that they share, which FAILING_CALLS names; nothing fails before. Needs libstdc++ beside it.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

struct fault {
  char function[32];
  char where[512];   // only of files whose path begins so, or of memory for this library; empty for all
  int error;         // below 0: the signal that ends the process instead
  atomic_long left;  // calls until the one that fails; 0 when none will
  size_t least_bytes;
};
static struct fault own;
static struct fault* fault = &own;  // of this process
static struct fault* told = &own;   // what this process has told last, for itself or for others

static _Atomic long long set_back_ns;
static atomic_long ticks_until_set_back;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static struct fault* shared_fault(const char* path) {
  const int file = REAL(open64)(path, O_RDWR);
  if (file < 0) return NULL;
  void* found = REAL(mmap64)(NULL, sizeof(struct fault), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  REAL(close)(file);
  return found == MAP_FAILED ? NULL : found;
}

// The calls of all processes that take part are counted as those of one.
__attribute__((constructor)) static void take_part(void) {
  const char* path = getenv("FAILING_CALLS");
  struct fault* shared = path == NULL ? NULL : shared_fault(path);
  if (shared != NULL) fault = shared;
}

// What is told from now on is for the processes that share this file; returns its size, which it must have before.
size_t tell_others(const char* path) {
  if (path != NULL) told = shared_fault(path);
  return sizeof(struct fault);
}

void fail_call(const char* function, const char* where, int error, long nth, size_t least_bytes) {
  snprintf(told->function, sizeof told->function, "%s", function);
  snprintf(told->where, sizeof told->where, "%s", where);
  told->error = error;
  told->least_bytes = least_bytes;
  atomic_store(&told->left, nth);
}

// How many calls are still to come before the one that would fail; 0 when it has failed.
long calls_left(void) { return atomic_load(&told->left); }

void set_clocks_back(long long nanoseconds, long after_readings) {
  atomic_store(&set_back_ns, nanoseconds);
  atomic_store(&ticks_until_set_back, after_readings);
}

static int may_fail(const char* function) {
  return atomic_load(&fault->left) > 0 && strcmp(function, fault->function) == 0;
}

static int fails(const char* function) {
  if (!may_fail(function) || atomic_fetch_sub(&fault->left, 1) != 1) return 0;
  if (fault->error < 0) kill(getpid(), -fault->error);
  errno = fault->error;
  return 1;
}

static int path_fails(const char* function, const char* path) {
  return path != NULL && strncmp(path, fault->where, strlen(fault->where)) == 0 && fails(function);
}

static int file_fails(const char* function, int file) {
  if (!may_fail(function)) return 0;
  char link[64], path[1024];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return path_fails(function, path);
}

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
int rmdir(const char* path) { return path_fails("rmdir", path) ? -1 : REAL(rmdir)(path); }
int unlink(const char* path) { return path_fails("unlink", path) ? -1 : REAL(unlink)(path); }
int flock(int file, int operation) { return file_fails("flock", file) ? -1 : REAL(flock)(file, operation); }
int pipe2(int ends[2], int flags) { return fails("pipe") ? -1 : REAL(pipe2)(ends, flags); }
pid_t fork(void) { return fails("fork") ? -1 : REAL(fork)(); }
pid_t vfork(void) { return fork(); }  // which cannot be passed on: the child would return from here
int pthread_create(pthread_t* to, const pthread_attr_t* as, void* (*begin)(void*), void* with) {
  return fails("thread") ? errno : REAL(pthread_create)(to, as, begin, with);
}
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
// libstdc++ counts as part of a library that is named, as it holds the code of std::string.
static int is_of(const void* caller) {
  Dl_info found;
  if (fault->where[0] == 0) return 1;
  if (!dladdr(caller, &found) || found.dli_fname == NULL) return 0;
  return strstr(found.dli_fname, fault->where) != NULL || strstr(found.dli_fname, "/libstdc++") != NULL;
}
static int memory_fails(size_t bytes, const void* caller) {
  if (!may_fail("malloc") || bytes < fault->least_bytes) return 0;
  return fault->least_bytes > 0 && is_of(caller) && fails("malloc");
}
#define FAILS(bytes) memory_fails(bytes, __builtin_return_address(0))
void* malloc(size_t bytes) { return FAILS(bytes) ? NULL : __libc_malloc(bytes); }
void* calloc(size_t count, size_t bytes) { return FAILS(count * bytes) ? NULL : __libc_calloc(count, bytes); }
void* realloc(void* old, size_t bytes) { return FAILS(bytes) ? NULL : __libc_realloc(old, bytes); }
int posix_memalign(void** to, size_t alignment, size_t bytes) {
  if (FAILS(bytes)) return ENOMEM;
  *to = __libc_memalign(alignment, bytes);
  return *to == NULL ? ENOMEM : 0;
}
void* aligned_alloc(size_t alignment, size_t bytes) { return FAILS(bytes) ? NULL : __libc_memalign(alignment, bytes); }
char* strdup(const char* text) {
  const size_t bytes = strlen(text) + 1;
  char* copy = FAILS(bytes) ? NULL : __libc_malloc(bytes);
  return copy == NULL ? NULL : memcpy(copy, text, bytes);
}

// What C++ calls `operator new`: by way of libstdc++'s, all memory would be that library's.
extern void throw_bad_alloc(void) __asm__("_ZSt17__throw_bad_allocv") __attribute__((noreturn));
static void* given_or_thrown(void* memory) {
  if (memory == NULL) throw_bad_alloc();
  return memory;
}
void* _Znwm(size_t bytes) { return given_or_thrown(FAILS(bytes) ? NULL : __libc_malloc(bytes)); }
void* _Znam(size_t bytes) { return given_or_thrown(FAILS(bytes) ? NULL : __libc_malloc(bytes)); }
void* _ZnwmSt11align_val_t(size_t bytes, size_t alignment) {
  return given_or_thrown(FAILS(bytes) ? NULL : __libc_memalign(alignment, bytes));
}
void* _ZnwmRKSt9nothrow_t(size_t bytes, const void* tag) { return FAILS(bytes) ? NULL : __libc_malloc(bytes); }

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
