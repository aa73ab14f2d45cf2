// Registers delegates with an environment, in the order asked for: the runtime's own CPU accelerator,
// accelerator libraries such as the GPU's, and any TFLite delegate that this process holds.
#pragma once

#include <memory>
#include <string>

#include "delegates/tflite_abi.h"
#include "runtime/handle.h"

namespace litedelegates {

// XNNPACK, built into the runtime.
void register_cpu(LiteRtEnvironment environment);

// An accelerator library that exports `LiteRtAcceleratorImpl`. The library is never unloaded: the GPU's
// crashes when it is.
void register_accelerator_library(LiteRtEnvironment environment, const std::string& path);

// A TFLite delegate in this process. Registered while it lives; it must outlive the models compiled with it.
class HostedDelegate {
 public:
  HostedDelegate(LiteRtEnvironment environment, std::string name, TfLiteDelegate* delegate);
  ~HostedDelegate();
  HostedDelegate(const HostedDelegate&) = delete;
  HostedDelegate& operator=(const HostedDelegate&) = delete;

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] TfLiteDelegate* delegate() const { return delegate_; }

 private:
  void forget() const;

  std::string name_;
  TfLiteDelegate* delegate_;
  LiteRtAccelerator accelerator_ = nullptr;  // owned by the environment once registered
};

}  // namespace litedelegates
