// What the delegates of the tests need of TFLite's C structures, and what all of them do to take ops. The layouts are
// those that every delegate library is compiled with; 64 bits.
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct { int size; int data[]; } IntArray;
typedef struct Context Context;
typedef struct Delegate Delegate;
typedef struct { int32_t type; float* data; IntArray* dims; float scale; int32_t zero_point; int32_t allocation; size_t bytes;
                 char rest[64]; } Tensor;
typedef struct { IntArray* inputs; IntArray* outputs; IntArray* intermediates; IntArray* temporaries; void* user_data;
                 void* builtin_data; const void* custom; int custom_size; Delegate* delegate; bool effect; } Node;
typedef struct { void* (*init)(Context*, const char*, size_t); void (*free)(Context*, void*); int (*prepare)(Context*, Node*);
                 int (*invoke)(Context*, Node*); void* profiling; int32_t builtin_code; const char* custom_name; int version;
                 void* external; void* async; uint64_t inplace; } Registration;
struct Context {
  size_t tensors_size;
  int (*GetExecutionPlan)(Context*, IntArray**);
  Tensor* tensors;
  void* impl;
  int (*ResizeTensor)(Context*, Tensor*, IntArray*);
  void (*ReportError)(Context*, const char*, ...);
  void* AddTensors;
  int (*GetNodeAndRegistration)(Context*, int, Node**, Registration**);
  int (*ReplaceNodeSubsetsWithDelegateKernels)(Context*, Registration, const IntArray*, Delegate*);
};
typedef struct { Delegate* delegate; IntArray* nodes; IntArray* inputs; IntArray* outputs; } DelegateParams;
struct Delegate { void* data; int (*Prepare)(Context*, Delegate*); void* copy_from; void* copy_to; void* free_handle;
                  int64_t flags; void* builder; };

enum { kOk = 0, kError = 1, kAdd = 0, kMul = 18, kFloat32 = 1, kAllowDynamicTensors = 1 };

static inline int nothing_to_prepare(Context* context, Node* node) { (void)context; (void)node; return kOk; }

// Replace the nodes that `wants` by kernels of the delegate: all in one call, where the runtime groups them, or one by one.
static inline int take(Context* context, Delegate* delegate, Registration kernel, bool one_by_one,
                       bool (*wants)(const Context*, const Node*, const Registration*)) {
  IntArray* plan;
  if (context->GetExecutionPlan(context, &plan) != kOk) return kError;
  // The plan belongs to the interpreter and the next call overwrites it.
  const size_t bytes = sizeof *plan + sizeof(int) * (size_t)plan->size;
  IntArray* taken = memcpy(malloc(bytes), plan, bytes);
  int count = 0;
  for (int i = 0; i < taken->size; ++i) {
    Node* node;
    Registration* registration;
    context->GetNodeAndRegistration(context, taken->data[i], &node, &registration);
    if (wants(context, node, registration)) taken->data[count++] = taken->data[i];
  }
  taken->size = count;
  kernel.version = 1;
  int status = kOk;
  for (int i = 0; one_by_one && i < count && status == kOk; ++i) {
    int one[2] = {1, taken->data[i]};
    status = context->ReplaceNodeSubsetsWithDelegateKernels(context, kernel, (IntArray*)one, delegate);
  }
  if (!one_by_one) status = context->ReplaceNodeSubsetsWithDelegateKernels(context, kernel, taken, delegate);
  free(taken);
  return status;
}
