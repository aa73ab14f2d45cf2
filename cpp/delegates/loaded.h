// A TFLite delegate that this process created and has to destroy.
#pragma once

#include "delegates/tflite_abi.h"

namespace litedelegates {

// Each way to create one derives from this and destroys it in its destructor. Models share it, so that it
// outlives the last model that uses it.
class LoadedDelegate {
 public:
  LoadedDelegate() = default;
  virtual ~LoadedDelegate() = default;
  LoadedDelegate(const LoadedDelegate&) = delete;
  LoadedDelegate& operator=(const LoadedDelegate&) = delete;

  [[nodiscard]] TfLiteDelegate* delegate() const { return delegate_; }

 protected:
  TfLiteDelegate* delegate_ = nullptr;
};

}  // namespace litedelegates
