// The bytes of a .tflite model, verified, and kept where the runtime can read them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "model/description.h"

namespace litedelegates {

class ModelFile {
 public:
  // Map a file; what was verified is then what is run, even if the path is replaced meanwhile.
  [[nodiscard]] static std::shared_ptr<const ModelFile> open(const std::string& path);
  // Copy bytes into memory of our own, aligned as the runtime needs it.
  [[nodiscard]] static std::shared_ptr<const ModelFile> copy(std::span<const uint8_t> bytes);

  ~ModelFile();
  ModelFile(const ModelFile&) = delete;
  ModelFile& operator=(const ModelFile&) = delete;

  [[nodiscard]] std::span<const uint8_t> bytes() const { return {address_, size_}; }
  [[nodiscard]] const model::Description& description() const { return description_; }

 private:
  ModelFile(const uint8_t* address, size_t size, bool is_mapped);
  void verify(const std::string& origin);

  const uint8_t* address_;
  size_t size_;
  bool is_mapped_;
  model::Description description_;
};

}  // namespace litedelegates
