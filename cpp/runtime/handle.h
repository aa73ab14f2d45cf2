// The one owner of every handle of the runtime: move-only, destroyed exactly once.
#pragma once

#include <utility>

#include "runtime/library.h"

namespace litedelegates {

template <class T, auto Destroy>
class Handle {
 public:
  Handle() = default;
  explicit Handle(T raw) : raw_(raw) {}
  Handle(Handle&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
  Handle& operator=(Handle&& other) noexcept {
    if (this != &other) {
      reset();
      raw_ = std::exchange(other.raw_, nullptr);
    }
    return *this;
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { reset(); }

  [[nodiscard]] T get() const { return raw_; }
  [[nodiscard]] T release() { return std::exchange(raw_, nullptr); }
  explicit operator bool() const { return raw_ != nullptr; }

  // Where a create call writes its result; what was owned before is destroyed.
  [[nodiscard]] T* out() {
    reset();
    return &raw_;
  }

  void reset() {
    if (raw_ != nullptr) static_cast<void>((api().*Destroy)(std::exchange(raw_, nullptr)));
  }

 private:
  T raw_ = nullptr;
};

using EnvironmentHandle = Handle<LiteRtEnvironment, &Api::LiteRtDestroyEnvironment>;
using ModelHandle = Handle<LiteRtModel, &Api::LiteRtDestroyModel>;
using OptionsHandle = Handle<LiteRtOptions, &Api::LiteRtDestroyOptions>;
using OpaqueOptionsHandle = Handle<LiteRtOpaqueOptions, &Api::LiteRtDestroyOpaqueOptions>;
using CompiledModelHandle = Handle<LiteRtCompiledModel, &Api::LiteRtDestroyCompiledModel>;
using TensorBufferHandle = Handle<LiteRtTensorBuffer, &Api::LiteRtDestroyTensorBuffer>;
using AcceleratorHandle = Handle<LiteRtAccelerator, &Api::LiteRtDestroyAccelerator>;

}  // namespace litedelegates
