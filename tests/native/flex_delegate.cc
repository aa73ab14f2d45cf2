// Stands in for libtensorflowlite_flex.so, at the place where the runtime looks for it: exports TF_AcquireFlexDelegate
// and computes FlexErf. Built by the tests; with LACKS_SYMBOL it exports nothing.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

struct IntArray { int size; int data[]; };
struct Context;
struct Delegate;
struct Tensor { int32_t type; float* data; IntArray* dims; float scale; int32_t zero; int32_t allocation; size_t bytes; char rest[64]; };
struct Node { IntArray *inputs, *outputs, *intermediates, *temporaries; void* user_data; };
struct Registration { void* (*init)(Context*, const char*, size_t); void (*free)(Context*, void*); int (*prepare)(Context*, Node*);
                      int (*invoke)(Context*, Node*); void* profiling; int32_t builtin_code; const char* custom_name; int version;
                      void* external; void* async; uint64_t inplace; };
struct Context { size_t count; int (*GetExecutionPlan)(Context*, IntArray**); Tensor* tensors; void* impl; void* resize; void* report; void* add;
                 int (*GetNodeAndRegistration)(Context*, int, Node**, Registration**);
                 int (*Replace)(Context*, Registration, const IntArray*, Delegate*); };
struct Delegate { void* data; int (*Prepare)(Context*, Delegate*); void* functions[3]; int64_t flags; void* builder; };

static int invoke(Context* context, Node* node) {
  const Tensor& x = context->tensors[node->inputs->data[0]];
  const Tensor& y = context->tensors[node->outputs->data[0]];
  for (size_t i = 0; i < x.bytes / sizeof(float); ++i) y.data[i] = std::erf(x.data[i]);
  return 0;
}

static int prepare(Context* context, Delegate* delegate) {
  IntArray* plan;
  if (context->GetExecutionPlan(context, &plan) != 0) return 1;
  std::vector<int> nodes(plan->data, plan->data + plan->size), taken{0};
  for (const int index : nodes) {
    Node* node;
    Registration* registration;
    if (context->GetNodeAndRegistration(context, index, &node, &registration) != 0) return 1;
    if (registration->custom_name == nullptr || std::strcmp(registration->custom_name, "FlexErf") != 0) continue;
    taken.push_back(index);
    ++taken[0];
  }
  Registration kernel{};
  kernel.invoke = invoke;
  kernel.prepare = [](Context*, Node*) { return 0; };
  kernel.custom_name = "TfLiteFlexDelegate";
  return context->Replace(context, kernel, reinterpret_cast<IntArray*>(taken.data()), delegate);
}

#ifndef LACKS_SYMBOL
extern "C" std::unique_ptr<Delegate, void (*)(Delegate*)> TF_AcquireFlexDelegate() {
  auto* delegate = new Delegate{};
  delegate->Prepare = prepare;
  delegate->flags = 1;  // allows dynamic tensors, as Flex does
  return {delegate, [](Delegate* made) { delete made; }};
}
#else
int (*const no_flex)(Context*, Delegate*) = prepare;
#endif
