// A small external delegate: takes every ADD of two float tensors of the same size and adds an offset to the sum, so
// that outputs show who computed them. Built by the tests; declares what it needs of TFLite's C structures itself.
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <time.h>

#include "tflite.h"

typedef struct { float offset; bool fail_prepare, fail_invoke, meet; } Options;
typedef struct { const Options* options; int count; int (*triples)[3]; } Kernel;

// With the option "meet", a run waits until another one is inside a kernel too: two runs that cannot overlap fail.
static pthread_mutex_t meeting = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t arrived = PTHREAD_COND_INITIALIZER;
static int present = 0;

static bool meet(void) {
  struct timespec deadline;
  clock_gettime(CLOCK_REALTIME, &deadline);
  deadline.tv_sec += 20;
  bool met = true;
  pthread_mutex_lock(&meeting);
  ++present;
  pthread_cond_broadcast(&arrived);
  while (present < 2 && met) met = pthread_cond_timedwait(&arrived, &meeting, &deadline) == 0;
  pthread_mutex_unlock(&meeting);
  return met;
}

static void* kernel_init(Context* context, const char* buffer, size_t length) {
  (void)length;
  const DelegateParams* params = (const DelegateParams*)buffer;
  Kernel* kernel = malloc(sizeof *kernel);
  kernel->options = params->delegate->data;
  kernel->count = params->nodes->size;
  kernel->triples = malloc(sizeof(int[3]) * (size_t)kernel->count);
  for (int i = 0; i < kernel->count; ++i) {
    Node* node;
    Registration* registration;
    context->GetNodeAndRegistration(context, params->nodes->data[i], &node, &registration);
    const int triple[3] = {node->inputs->data[0], node->inputs->data[1], node->outputs->data[0]};
    memcpy(kernel->triples[i], triple, sizeof triple);
  }
  return kernel;
}

static void kernel_free(Context* context, void* data) {
  (void)context;
  free(((Kernel*)data)->triples);
  free(data);
}

static int kernel_invoke(Context* context, Node* node) {
  const Kernel* kernel = node->user_data;
  if (kernel->options->fail_invoke) {
    context->ReportError(context, "the offset delegate was told to fail");
    return kError;
  }
  if (kernel->options->meet && !meet()) {
    context->ReportError(context, "no other run came within 20 seconds");
    return kError;
  }
  for (int i = 0; i < kernel->count; ++i) {
    const Tensor* a = &context->tensors[kernel->triples[i][0]];
    const Tensor* b = &context->tensors[kernel->triples[i][1]];
    const Tensor* sum = &context->tensors[kernel->triples[i][2]];
    for (size_t k = 0; k < sum->bytes / sizeof(float); ++k) sum->data[k] = a->data[k] + b->data[k] + kernel->options->offset;
  }
  return kOk;
}

static bool wants(const Context* context, const Node* node, const Registration* registration) {
  if (registration->builtin_code != kAdd || node->inputs->size != 2) return false;
  const Tensor* a = &context->tensors[node->inputs->data[0]];
  const Tensor* b = &context->tensors[node->inputs->data[1]];
  return a->type == kFloat32 && b->type == kFloat32 && a->bytes == b->bytes;
}

static int prepare(Context* context, Delegate* delegate) {
  if (((const Options*)delegate->data)->fail_prepare) {
    context->ReportError(context, "the offset delegate cannot prepare");
    return kError;
  }
  const Registration kernel = {.init = kernel_init, .free = kernel_free, .prepare = nothing_to_prepare,
                               .invoke = kernel_invoke, .custom_name = "OffsetDelegate"};
  return take(context, delegate, kernel, false, wants);
}

Delegate* tflite_plugin_create_delegate(char** keys, char** values, size_t count, void (*report)(const char*)) {
  Options* options = calloc(1, sizeof *options);
  for (size_t i = 0; i < count; ++i) {
    if (strcmp(keys[i], "offset") == 0) {
      options->offset = strtof(values[i], NULL);
    } else if (strcmp(keys[i], "meet") == 0) {
      options->meet = true;
    } else if (strcmp(keys[i], "fail") == 0) {
      options->fail_prepare = strcmp(values[i], "prepare") == 0;
      options->fail_invoke = strcmp(values[i], "invoke") == 0;
    } else {
      if (report) report("the offset delegate has no such option");
      free(options);
      return NULL;
    }
  }
  Delegate* delegate = calloc(1, sizeof *delegate);
  delegate->data = options;
  delegate->Prepare = prepare;
  return delegate;
}

void tflite_plugin_destroy_delegate(Delegate* delegate) {
  free(delegate->data);
  free(delegate);
}
