// An external delegate that takes ADD and MUL of float tensors of one size, and fails in every way it is told to.
// Keys: "echo" (a file that receives all keys and values), "refuse" (create nothing, with this message; silent when
// it is empty), "fail" ("prepare" or "invoke"). Any other key is kept for the echo.
// -DNO_CREATE and -DNO_DESTROY leave a symbol out, -DUNDEFINED needs one that nobody has, -DLEAKS forgets
// memory, -DRACES counts its runs without a lock.
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>

#include "tflite.h"

typedef struct { bool fail_prepare, fail_invoke; char echo[512]; } Options;
typedef struct { int code, a, b, out; } Operation;
typedef struct { const Options* options; int count; Operation* operations; } Kernel;

static void* kernel_init(Context* context, const char* buffer, size_t length) {
  (void)length;
  const DelegateParams* params = (const DelegateParams*)buffer;
  Kernel* kernel = malloc(sizeof *kernel);
  kernel->options = params->delegate->data;
  kernel->count = params->nodes->size;
  kernel->operations = malloc(sizeof(Operation) * (size_t)kernel->count);
  for (int i = 0; i < kernel->count; ++i) {
    Node* node;
    Registration* registration;
    context->GetNodeAndRegistration(context, params->nodes->data[i], &node, &registration);
    kernel->operations[i] = (Operation){registration->builtin_code, node->inputs->data[0], node->inputs->data[1],
                                        node->outputs->data[0]};
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
#ifdef RACES
  static long runs;
  ++runs;
#endif
  if (kernel->options->fail_invoke) {
    context->ReportError(context, "the arithmetic delegate was told to fail");
    return kError;
  }
  for (int i = 0; i < kernel->count; ++i) {
    const Operation* operation = &kernel->operations[i];
    const float* a = context->tensors[operation->a].data;
    const float* b = context->tensors[operation->b].data;
    const Tensor* out = &context->tensors[operation->out];
    for (size_t k = 0; k < out->bytes / sizeof(float); ++k) {
      out->data[k] = operation->code == kAdd ? a[k] + b[k] : a[k] * b[k];
    }
  }
  return kOk;
}

static bool wants(const Context* context, const Node* node, const Registration* registration) {
  if ((registration->builtin_code != kAdd && registration->builtin_code != kMul) || node->inputs->size != 2) return false;
  const Tensor* a = &context->tensors[node->inputs->data[0]];
  const Tensor* b = &context->tensors[node->inputs->data[1]];
  // The options of both begin with the activation that is fused to them.
  const bool is_plain = node->builtin_data != NULL && *(const int32_t*)node->builtin_data == 0;
  return is_plain && a->type == kFloat32 && b->type == kFloat32 && a->bytes == b->bytes;
}

static int prepare(Context* context, Delegate* delegate) {
  if (((const Options*)delegate->data)->fail_prepare) {
    context->ReportError(context, "the arithmetic delegate cannot prepare");
    return kError;
  }
  const Registration kernel = {.init = kernel_init, .free = kernel_free, .prepare = nothing_to_prepare,
                               .invoke = kernel_invoke, .custom_name = "ArithmeticDelegate"};
  return take(context, delegate, kernel, false, wants);
}

static void echo(const char* path, const char* mode, const char* key, const char* value) {
  FILE* file = fopen(path, mode);
  if (file == NULL) return;
  fprintf(file, "%s=%s\n", key, value);
  fclose(file);
}

#ifdef UNDEFINED
void nobody_has_this(void);
void needs_it(void) { nobody_has_this(); }
#endif

#ifndef NO_CREATE
Delegate* tflite_plugin_create_delegate(char** keys, char** values, size_t count, void (*report)(const char*)) {
  Options* options = calloc(1, sizeof *options);
  for (size_t i = 0; i < count; ++i) {
    if (strcmp(keys[i], "refuse") == 0) {
      if (values[i][0] != '\0' && report) report(values[i]);
      free(options);
      return NULL;
    }
    if (strcmp(keys[i], "echo") == 0) snprintf(options->echo, sizeof options->echo, "%s", values[i]);
    if (strcmp(keys[i], "fail") == 0) {
      options->fail_prepare = strcmp(values[i], "prepare") == 0;
      options->fail_invoke = strcmp(values[i], "invoke") == 0;
    }
  }
  for (size_t i = 0; options->echo[0] != '\0' && i < count; ++i) echo(options->echo, "a", keys[i], values[i]);
  Delegate* delegate = calloc(1, sizeof *delegate);
  delegate->data = options;
  delegate->Prepare = prepare;
  return delegate;
}
#endif

#ifndef NO_DESTROY
void tflite_plugin_destroy_delegate(Delegate* delegate) {
  const Options* options = delegate->data;
  if (options->echo[0] != '\0') echo(options->echo, "a", "destroyed", "yes");
#ifndef LEAKS
  free(delegate->data);
#endif
  free(delegate);
}
#endif
