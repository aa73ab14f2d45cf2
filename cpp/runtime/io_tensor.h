// An input or output of a compiled model: host memory that stays in place, and the runtime's buffer over it
// or, on a device, beside it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "runtime/element_type.h"
#include "runtime/handle.h"

namespace litedelegates {

// Memory at the alignment the runtime asks of host buffers (64 bytes), with room for whole vectors at its
// end. Free it with std::free.
[[nodiscard]] void* aligned_memory(size_t bytes);

struct FreeMemory {
  void operator()(void* memory) const;
};
using HostMemory = std::shared_ptr<void>;

class IoTensor {
 public:
  IoTensor(LiteRtEnvironment environment, LiteRtTensorBufferRequirements requirements,
           const ElementType& type, const LiteRtLayout& layout);

  [[nodiscard]] LiteRtTensorBuffer buffer() const { return buffer_.get(); }
  // Where the values are on the host. Views of it may outlive this object and keep the memory alive.
  [[nodiscard]] const HostMemory& memory() const { return memory_; }
  [[nodiscard]] size_t bytes() const { return bytes_; }
  [[nodiscard]] const std::vector<int32_t>& shape() const { return shape_; }
  // True when the values live on a device and have to be uploaded and read back.
  [[nodiscard]] bool is_on_device() const { return is_on_device_; }

  void upload() const;
  // Waits for the device.
  void read_back() const;

 private:
  std::vector<int32_t> shape_;
  size_t bytes_;
  HostMemory memory_;
  bool is_on_device_;
  TensorBufferHandle buffer_;
};

}  // namespace litedelegates
