// An external delegate that takes every ADD of two float tensors of one size, computes it right, and gets into trouble
// when it is told to. Keys: "crash", "hang" or "eat" (take memory without end), each with "create", "prepare", "invoke" or
// "destroy" as the value, and "after": how many runs go well before.
#define _DEFAULT_SOURCE
#include <signal.h>
#include <unistd.h>

#include "tflite.h"

enum { kRelu = 1 };
typedef struct { char trouble[3][16]; long after; } Options;
typedef struct { Options* options; int count; int (*operations)[4]; } Kernel;

static const char* const kinds[3] = {"crash", "hang", "eat"};

static void get_into_trouble(const Options* options, const char* where) {
  if (strcmp(options->trouble[0], where) == 0) raise(SIGSEGV);
  while (strcmp(options->trouble[1], where) == 0) pause();
  while (strcmp(options->trouble[2], where) == 0) {
    const size_t bytes = (size_t)16 << 20;
    char* taken = malloc(bytes);
    if (taken == NULL) abort();
    memset(taken, 1, bytes);  // only what is written to counts
    volatile char last = taken[bytes - 1];
    (void)last;
    usleep(1000);
  }
}

static void* kernel_init(Context* context, const char* buffer, size_t length) {
  (void)length;
  const DelegateParams* params = (const DelegateParams*)buffer;
  Kernel* kernel = malloc(sizeof *kernel);
  kernel->options = params->delegate->data;
  kernel->count = params->nodes->size;
  kernel->operations = malloc(sizeof(int[4]) * (size_t)kernel->count);
  for (int i = 0; i < kernel->count; ++i) {
    Node* node;
    Registration* registration;
    context->GetNodeAndRegistration(context, params->nodes->data[i], &node, &registration);
    // The options of ADD begin with the activation that is fused to it.
    const int operation[4] = {node->inputs->data[0], node->inputs->data[1], node->outputs->data[0],
                              *(const int32_t*)node->builtin_data};
    memcpy(kernel->operations[i], operation, sizeof operation);
  }
  return kernel;
}

static void kernel_free(Context* context, void* data) {
  (void)context;
  free(((Kernel*)data)->operations);
  free(data);
}

static int kernel_invoke(Context* context, Node* node) {
  const Kernel* kernel = node->user_data;
  if (kernel->options->after-- <= 0) get_into_trouble(kernel->options, "invoke");
  for (int i = 0; i < kernel->count; ++i) {
    const Tensor* a = &context->tensors[kernel->operations[i][0]];
    const Tensor* b = &context->tensors[kernel->operations[i][1]];
    const Tensor* sum = &context->tensors[kernel->operations[i][2]];
    const bool is_relu = kernel->operations[i][3] == kRelu;
    for (size_t k = 0; k < sum->bytes / sizeof(float); ++k) {
      const float value = a->data[k] + b->data[k];
      sum->data[k] = is_relu && value < 0 ? 0 : value;
    }
  }
  return kOk;
}

static bool wants(const Context* context, const Node* node, const Registration* registration) {
  if (registration->builtin_code != kAdd || node->inputs->size != 2) return false;
  const Tensor* a = &context->tensors[node->inputs->data[0]];
  const Tensor* b = &context->tensors[node->inputs->data[1]];
  const bool can_activate = node->builtin_data != NULL && *(const int32_t*)node->builtin_data <= kRelu;
  return can_activate && a->type == kFloat32 && b->type == kFloat32 && a->bytes == b->bytes;
}

static int prepare(Context* context, Delegate* delegate) {
  get_into_trouble(delegate->data, "prepare");
  const Registration kernel = {.init = kernel_init, .free = kernel_free, .prepare = nothing_to_prepare,
                               .invoke = kernel_invoke, .custom_name = "TroubledDelegate"};
  return take(context, delegate, kernel, false, wants);
}

Delegate* tflite_plugin_create_delegate(char** keys, char** values, size_t count, void (*report)(const char*)) {
  Options* options = calloc(1, sizeof *options);
  for (size_t i = 0; i < count; ++i) {
    bool known = strcmp(keys[i], "after") == 0;
    if (known) options->after = strtol(values[i], NULL, 10);
    for (int kind = 0; kind < 3; ++kind) {
      if (strcmp(keys[i], kinds[kind]) != 0) continue;
      strncpy(options->trouble[kind], values[i], sizeof options->trouble[kind] - 1);
      known = true;
    }
    if (!known) {
      if (report) report("the troubled delegate has no such option");
      free(options);
      return NULL;
    }
  }
  get_into_trouble(options, "create");
  Delegate* delegate = calloc(1, sizeof *delegate);
  delegate->data = options;
  delegate->Prepare = prepare;
  return delegate;
}

void tflite_plugin_destroy_delegate(Delegate* delegate) {
  get_into_trouble(delegate->data, "destroy");
  free(delegate->data);
  free(delegate);
}
