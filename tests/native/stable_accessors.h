// The few TfLite functions that stable_delegate.c calls, as a delegate carries them: hidden in its own library.
#include <stdarg.h>
#include <stdio.h>

#define OWN __attribute__((visibility("hidden")))

struct Tensor { int32_t type; void* data; IntArray* dims; float scale; int32_t zero_point; int32_t allocation; size_t bytes; char rest[64]; };
struct Node { IntArray *inputs, *outputs, *intermediates, *temporaries; void* user_data; };
struct Operator { const char* custom_name; int version; void* (*init)(Context*, const char*, size_t); void (*free)(Context*, void*);
                  int (*prepare)(Context*, Node*); int (*invoke)(Context*, Node*); void* async; int32_t builtin_code; int node_index;
                  uint64_t inplace; void* user_data; void* with_data[5]; };
typedef struct { void* functions[5]; int32_t builtin_code; const char* custom_name; int version; Operator* external;
                 void* async; uint64_t inplace; } Registration;
struct Context { size_t tensors_size; int (*GetExecutionPlan)(Context*, IntArray**); Tensor* tensors; void* impl; void* resize;
                 void (*ReportError)(Context*, const char*, ...); void* add;
                 int (*GetNodeAndRegistration)(Context*, int, Node**, Registration**);
                 int (*ReplaceNodeSubsetsWithDelegateKernels)(Context*, Registration, const IntArray*, Delegate*); };
struct Delegate { void* data; void* functions[4]; int64_t flags; Builder* builder; };

OWN IntArray* TfLiteIntArrayCreate(int size) {
  IntArray* array = malloc(sizeof *array + sizeof(int) * (size_t)size);
  array->size = size;
  return array;
}
OWN void TfLiteIntArrayFree(IntArray* array) { free(array); }
OWN Operator* TfLiteOperatorCreate(int code, const char* name, int version, void* data) {
  // The runtime deletes it; C++'s new is malloc on every platform that this test runs on.
  Operator* made = calloc(1, sizeof *made);
  made->builtin_code = code; made->custom_name = name; made->version = version; made->user_data = data; made->node_index = -1;
  return made;
}
OWN int TfLiteOperatorGetBuiltInCode(const Operator* o) { return o->builtin_code; }
OWN void TfLiteOperatorSetInit(Operator* o, void* (*f)(Context*, const char*, size_t)) { o->init = f; }
OWN void TfLiteOperatorSetFree(Operator* o, void (*f)(Context*, void*)) { o->free = f; }
OWN void TfLiteOperatorSetPrepare(Operator* o, int (*f)(Context*, Node*)) { o->prepare = f; }
OWN void TfLiteOperatorSetInvoke(Operator* o, int (*f)(Context*, Node*)) { o->invoke = f; }
OWN int TfLiteOpaqueContextGetExecutionPlan(Context* c, IntArray** plan) { return c->GetExecutionPlan(c, plan); }
OWN int TfLiteOpaqueContextGetNodeAndRegistration(Context* c, int index, Node** node, Operator** operator) {
  static Operator described[256];
  Registration* registration;
  const int status = c->GetNodeAndRegistration(c, index, node, &registration);
  if (status != 0) return status;
  described[registration->builtin_code & 255].builtin_code = registration->builtin_code;
  *operator = registration->external ? registration->external : &described[registration->builtin_code & 255];
  return 0;
}
OWN int TfLiteOpaqueContextReplaceNodeSubsetsWithDelegateKernels(Context* c, Operator* o, const IntArray* nodes, Delegate* d) {
  Registration registration = {.external = o};
  return c->ReplaceNodeSubsetsWithDelegateKernels(c, registration, nodes, d);
}
OWN void TfLiteOpaqueContextReportError(Context* c, const char* format, ...) {
  char text[256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  c->ReportError(c, "%s", text);
}
OWN Tensor* TfLiteOpaqueContextGetOpaqueTensor(const Context* c, int index) { return &c->tensors[index]; }
OWN int TfLiteOpaqueNodeNumberOfInputs(const Node* node) { return node->inputs->size; }
OWN const Tensor* TfLiteOpaqueNodeGetInput(const Context* c, const Node* node, int i) { return &c->tensors[node->inputs->data[i]]; }
OWN int TfLiteOpaqueNodeGetInputTensorIndex(const Node* node, int i) { return node->inputs->data[i]; }
OWN int TfLiteOpaqueNodeGetOutputTensorIndex(const Node* node, int i) { return node->outputs->data[i]; }
OWN void* TfLiteOpaqueNodeGetUserData(const Node* node) { return node->user_data; }
OWN int TfLiteOpaqueTensorType(const Tensor* tensor) { return tensor->type; }
OWN size_t TfLiteOpaqueTensorByteSize(const Tensor* tensor) { return tensor->bytes; }
OWN void* TfLiteOpaqueTensorData(const Tensor* tensor) { return tensor->data; }
OWN Delegate* TfLiteOpaqueDelegateCreate(const Builder* builder) {
  Delegate* delegate = calloc(1, sizeof *delegate);
  delegate->builder = malloc(sizeof *builder);
  *delegate->builder = *builder;
  return delegate;
}
OWN void TfLiteOpaqueDelegateDelete(Delegate* delegate) { free(delegate->builder); free(delegate); }
OWN void* TfLiteOpaqueDelegateGetData(const Delegate* delegate) { return delegate->builder->data; }
