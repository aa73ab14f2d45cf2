// A small delegate of the stable ABI: takes every ADD of two float tensors of the same size and adds an offset to the
// sum, which it reads from its settings. Built by the tests, in two kinds: as it is, it expects the TfLite functions
// from its host; with CARRIES_ACCESSORS it brings its own.
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef ABI_VERSION
#define ABI_VERSION "1.0.0"
#endif

typedef struct { int size; int data[]; } IntArray;
typedef struct Context Context;
typedef struct Node Node;
typedef struct Tensor Tensor;
typedef struct Operator Operator;
typedef struct Delegate Delegate;
typedef struct { void* data; int (*Prepare)(Context*, Delegate*, void*); void *copy_from, *copy_to, *free_handle; int64_t flags; } Builder;
typedef struct { Delegate* delegate; void* data; IntArray* nodes; IntArray* inputs; IntArray* outputs; } Params;

#ifdef CARRIES_ACCESSORS
#include "stable_accessors.h"
#else
IntArray* TfLiteIntArrayCreate(int);
void TfLiteIntArrayFree(IntArray*);
Operator* TfLiteOperatorCreate(int, const char*, int, void*);
int TfLiteOperatorGetBuiltInCode(const Operator*);
void TfLiteOperatorSetInit(Operator*, void* (*)(Context*, const char*, size_t));
void TfLiteOperatorSetFree(Operator*, void (*)(Context*, void*));
void TfLiteOperatorSetPrepare(Operator*, int (*)(Context*, Node*));
void TfLiteOperatorSetInvoke(Operator*, int (*)(Context*, Node*));
int TfLiteOpaqueContextGetExecutionPlan(Context*, IntArray**);
int TfLiteOpaqueContextGetNodeAndRegistration(Context*, int, Node**, Operator**);
int TfLiteOpaqueContextReplaceNodeSubsetsWithDelegateKernels(Context*, Operator*, const IntArray*, Delegate*);
void TfLiteOpaqueContextReportError(Context*, const char*, ...);
Tensor* TfLiteOpaqueContextGetOpaqueTensor(const Context*, int);
int TfLiteOpaqueNodeNumberOfInputs(const Node*);
const Tensor* TfLiteOpaqueNodeGetInput(const Context*, const Node*, int);
int TfLiteOpaqueNodeGetInputTensorIndex(const Node*, int);
int TfLiteOpaqueNodeGetOutputTensorIndex(const Node*, int);
void* TfLiteOpaqueNodeGetUserData(const Node*);
int TfLiteOpaqueTensorType(const Tensor*);
size_t TfLiteOpaqueTensorByteSize(const Tensor*);
void* TfLiteOpaqueTensorData(const Tensor*);
Delegate* TfLiteOpaqueDelegateCreate(const Builder*);
void TfLiteOpaqueDelegateDelete(Delegate*);
void* TfLiteOpaqueDelegateGetData(const Delegate*);
#endif

enum { kOk = 0, kError = 1, kAdd = 0, kFloat32 = 1 };
// What the tests ask for through max_delegated_partitions.
enum { kCreateNothing = 101, kFailPrepare = 102, kFailInvoke = 103 };
typedef struct { int offset, wish, kernels; } Options;
typedef struct { Options* options; int count; int (*triples)[3]; } Kernel;

// Read by the tests.
_Atomic int created_delegates = 0, destroyed_delegates = 0, living_kernels = 0, destroyed_in_use = 0;
char received_model_token[64] = "";

static const char* field(const char* table, int slot) {
  const char* vtable = table - *(const int32_t*)table;
  const int at = 4 + 2 * slot;
  const uint16_t place = at < *(const uint16_t*)vtable ? *(const uint16_t*)(vtable + at) : 0;
  return place ? table + place : NULL;
}

static const char* follow(const char* place) { return place ? place + *(const uint32_t*)place : NULL; }

static int integer(const char* table, int slot) {
  const char* place = table ? field(table, slot) : NULL;
  return place ? *(const int32_t*)place : 0;
}

static void* kernel_init(Context* context, const char* buffer, size_t length) {
  (void)length;
  const Params* params = (const Params*)buffer;
  Kernel* kernel = malloc(sizeof *kernel);
  kernel->options = TfLiteOpaqueDelegateGetData(params->delegate);
  kernel->count = params->nodes->size;
  kernel->triples = malloc(sizeof(int[3]) * (size_t)kernel->count);
  for (int i = 0; i < kernel->count; ++i) {
    Node* node;
    Operator* operator;
    TfLiteOpaqueContextGetNodeAndRegistration(context, params->nodes->data[i], &node, &operator);
    const int triple[3] = {TfLiteOpaqueNodeGetInputTensorIndex(node, 0), TfLiteOpaqueNodeGetInputTensorIndex(node, 1),
                           TfLiteOpaqueNodeGetOutputTensorIndex(node, 0)};
    memcpy(kernel->triples[i], triple, sizeof triple);
  }
  ++living_kernels;
  ++kernel->options->kernels;
  return kernel;
}

static void kernel_free(Context* context, void* data) {
  (void)context;
  Kernel* kernel = data;
  --living_kernels;
  --kernel->options->kernels;
  free(kernel->triples);
  free(kernel);
}

static int kernel_prepare(Context* context, Node* node) { (void)context; (void)node; return kOk; }

static int kernel_invoke(Context* context, Node* node) {
  const Kernel* kernel = TfLiteOpaqueNodeGetUserData(node);
  if (kernel->options->wish == kFailInvoke) {
    TfLiteOpaqueContextReportError(context, "the stable delegate was told to fail with wish %d", kernel->options->wish);
    return kError;
  }
  for (int i = 0; i < kernel->count; ++i) {
    const Tensor* tensors[3];
    for (int k = 0; k < 3; ++k) tensors[k] = TfLiteOpaqueContextGetOpaqueTensor(context, kernel->triples[i][k]);
    const float *a = TfLiteOpaqueTensorData(tensors[0]), *b = TfLiteOpaqueTensorData(tensors[1]);
    float* sum = TfLiteOpaqueTensorData(tensors[2]);
    const size_t count = TfLiteOpaqueTensorByteSize(tensors[2]) / sizeof(float);
    for (size_t k = 0; k < count; ++k) sum[k] = a[k] + b[k] + (float)kernel->options->offset;
  }
  return kOk;
}

static bool takes(const Context* context, const Node* node, const Operator* operator) {
  if (TfLiteOperatorGetBuiltInCode(operator) != kAdd || TfLiteOpaqueNodeNumberOfInputs(node) != 2) return false;
  const Tensor* a = TfLiteOpaqueNodeGetInput(context, node, 0);
  const Tensor* b = TfLiteOpaqueNodeGetInput(context, node, 1);
  return TfLiteOpaqueTensorType(a) == kFloat32 && TfLiteOpaqueTensorType(b) == kFloat32 &&
         TfLiteOpaqueTensorByteSize(a) == TfLiteOpaqueTensorByteSize(b);
}

static int prepare(Context* context, Delegate* delegate, void* data) {
  const Options* options = data;
  if (options->wish == kFailPrepare) {
    TfLiteOpaqueContextReportError(context, "the stable delegate cannot prepare");
    return kError;
  }
  IntArray* plan;
  if (TfLiteOpaqueContextGetExecutionPlan(context, &plan) != kOk) return kError;
  // The plan belongs to the interpreter and the next call overwrites it.
  IntArray* taken = TfLiteIntArrayCreate(plan->size);
  memcpy(taken->data, plan->data, sizeof(int) * (size_t)plan->size);
  int count = 0;
  for (int i = 0; i < taken->size; ++i) {
    Node* node;
    Operator* operator;
    if (TfLiteOpaqueContextGetNodeAndRegistration(context, taken->data[i], &node, &operator) != kOk) return kError;
    if (takes(context, node, operator)) taken->data[count++] = taken->data[i];
  }
  taken->size = count;
  Operator* kernel = TfLiteOperatorCreate(51, "StableOffsetDelegate", 1, NULL);
  TfLiteOperatorSetInit(kernel, kernel_init);
  TfLiteOperatorSetFree(kernel, kernel_free);
  TfLiteOperatorSetPrepare(kernel, kernel_prepare);
  TfLiteOperatorSetInvoke(kernel, kernel_invoke);
  const int status = TfLiteOpaqueContextReplaceNodeSubsetsWithDelegateKernels(context, kernel, taken, delegate);
  TfLiteIntArrayFree(taken);
  return status;
}

static Delegate* create(const void* settings) {
  Options* options = calloc(1, sizeof *options);
  options->offset = integer(follow(field(settings, 4)), 0);  // xnnpack_settings.num_threads
  options->wish = integer(settings, 7);                      // max_delegated_partitions
  const char* caching = follow(field(settings, 14));         // compilation_caching_settings
  const char* token = caching ? follow(field(caching, 1)) : NULL;
  if (token) strncpy(received_model_token, token + 4, sizeof received_model_token - 1);
  if (options->wish == kCreateNothing) {
    free(options);
    errno = ENODEV;
    return NULL;
  }
  const Builder builder = {.data = options, .Prepare = prepare};
  ++created_delegates;
  return TfLiteOpaqueDelegateCreate(&builder);
}

static void destroy(Delegate* delegate) {
  Options* options = TfLiteOpaqueDelegateGetData(delegate);
  if (options->kernels != 0) ++destroyed_in_use;
  ++destroyed_delegates;
  free(options);
  TfLiteOpaqueDelegateDelete(delegate);
}

static int error_number(Delegate* delegate) { (void)delegate; return 0; }

typedef struct { Delegate* (*create)(const void*); void (*destroy)(Delegate*); int (*error_number)(Delegate*); } Plugin;
static const Plugin plugin = {create, destroy, error_number};
typedef struct { const char *abi_version, *name, *version; const Plugin* plugin; } StableDelegate;
const StableDelegate TFL_TheStableDelegate = {ABI_VERSION, "offset", "0.1", &plugin};
