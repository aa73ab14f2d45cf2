#include "runtime/io_tensor.h"

#include <cstdlib>
#include <cstring>
#include <new>

#include "runtime/error.h"

namespace litedelegates {
namespace {

constexpr size_t kAlignment = 64;

size_t element_count(const std::vector<int32_t>& shape) {
  size_t count = 1;
  for (const int32_t dimension : shape) count *= static_cast<size_t>(dimension);
  return count;
}

bool supports_host_memory(LiteRtTensorBufferRequirements requirements) {
  int count = 0;
  check(api().LiteRtGetNumTensorBufferRequirementsSupportedBufferTypes(requirements, &count),
        ErrorKind::kCompile, "count the buffer types of a tensor");
  for (int i = 0; i < count; ++i) {
    int32_t type = 0;
    check(api().LiteRtGetTensorBufferRequirementsSupportedTensorBufferType(requirements, i, &type),
          ErrorKind::kCompile, "read the buffer types of a tensor");
    if (type == kLiteRtHostMemory) return true;
  }
  return false;
}

}  // namespace

void* aligned_memory(size_t bytes) {
  // One vector more than asked: kernels may read past the end of a row, and empty tensors need an address.
  const size_t rounded = (bytes / kAlignment + 2) * kAlignment;
  void* memory = std::aligned_alloc(kAlignment, rounded);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void FreeMemory::operator()(void* memory) const { std::free(memory); }

IoTensor::IoTensor(LiteRtEnvironment environment, LiteRtTensorBufferRequirements requirements,
                   const ElementType& type, const LiteRtLayout& layout)
    : shape_(layout.dimensions, layout.dimensions + layout.rank),
      bytes_(packed_bytes(type, element_count(shape_))),
      memory_(aligned_memory(bytes_), FreeMemory{}),
      is_on_device_(!supports_host_memory(requirements)) {
  std::memset(memory_.get(), 0, bytes_);
  const LiteRtRankedTensorType ranked{type.runtime, layout};
  if (is_on_device_) {
    check(api().LiteRtCreateManagedTensorBufferFromRequirements(environment, &ranked, requirements,
                                                                buffer_.out()),
          ErrorKind::kCompile, "create a buffer on the device");
  } else {
    check(
        api().LiteRtCreateTensorBufferFromHostMemory(&ranked, memory_.get(), bytes_, nullptr, buffer_.out()),
        ErrorKind::kCompile, "create a buffer over host memory");
  }
}

void IoTensor::upload() const {
  if (!is_on_device_) return;
  void* address = nullptr;
  check(api().LiteRtLockTensorBuffer(buffer_.get(), &address, kLiteRtLockWrite), ErrorKind::kRun,
        "lock an input of the device for writing");
  std::memcpy(address, memory_.get(), bytes_);
  check(api().LiteRtUnlockTensorBuffer(buffer_.get()), ErrorKind::kRun, "upload an input to the device");
}

void IoTensor::read_back() const {
  if (!is_on_device_) return;
  void* address = nullptr;
  check(api().LiteRtLockTensorBuffer(buffer_.get(), &address, kLiteRtLockRead), ErrorKind::kRun,
        "read an output back from the device");
  std::memcpy(memory_.get(), address, bytes_);
  check(api().LiteRtUnlockTensorBuffer(buffer_.get()), ErrorKind::kRun, "unlock an output of the device");
}

}  // namespace litedelegates
