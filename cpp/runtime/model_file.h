// The bytes of a .tflite model, verified, and kept where the runtime can read them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "model/description.h"

namespace litedelegates {

class ModelFile {
 public:
  // Map a file; what was verified is then what is run, even if the path is replaced meanwhile. A small file
  // is read instead: nobody can then cut it off under the model.
  [[nodiscard]] static std::shared_ptr<const ModelFile> open(const std::string& path);
  // Copy bytes into memory of our own, aligned as the runtime needs it.
  [[nodiscard]] static std::shared_ptr<const ModelFile> copy(std::span<const uint8_t> bytes);

  ~ModelFile();
  ModelFile(const ModelFile&) = delete;
  ModelFile& operator=(const ModelFile&) = delete;

  [[nodiscard]] std::span<const uint8_t> bytes() const { return {address_, size_}; }
  [[nodiscard]] const model::Description& description() const { return *description_; }
  // Whether sizes of tensors are computed by the model itself (see `model::computes_shapes`).
  [[nodiscard]] bool computes_shapes() const { return computes_shapes_; }

  // The model for inputs of given shapes.
  struct Folded {
    // With all sizes stored and nothing left that computes them; the file itself when there is nothing to
    // change, null when a size is only known while the model runs.
    std::shared_ptr<const ModelFile> file;
    // For each subgraph: which operator of this file each operator is.
    std::vector<std::vector<int32_t>> operators;
    // Why a size is only known while the model runs.
    std::string obstacle;
    // The shapes of the outputs of the subgraph.
    std::vector<std::vector<int32_t>> outputs;
  };
  // Throws an Error of the kind kCompile where the shapes do not fit the model.
  [[nodiscard]] static Folded fold(const std::shared_ptr<const ModelFile>& file, size_t subgraph,
                                   const std::vector<std::vector<int64_t>>& inputs);

 private:
  // Who owns the memory.
  enum class Memory { allocated, mapped };

  ModelFile(const uint8_t* address, size_t size, Memory memory, int descriptor);
  void verify(const std::string& origin);
  // This file behind `header`: a small one copied, another mapped a second time where the system can do so.
  [[nodiscard]] std::shared_ptr<const ModelFile> behind(std::span<const uint8_t> header) const;
  // A model in memory of our own, which `fill` writes; it is not verified yet.
  template <class Fill>
  [[nodiscard]] static std::shared_ptr<ModelFile> allocate(size_t size, const Fill& fill);
  // The model with its bytes where they can be mapped a second time; as it is where the system cannot do so.
  [[nodiscard]] static std::shared_ptr<ModelFile> shareable(std::shared_ptr<ModelFile> model);

  // The address comes behind 16 bytes: without memory to note a new object in, pybind11 frees it before it is
  // destroyed, and the allocator writes over its beginning.
  size_t size_;
  Memory memory_;
  int descriptor_ = -1;  // of the file, where it may have to be mapped again
  const uint8_t* address_;
  std::shared_ptr<model::Description> description_;
  bool computes_shapes_ = false;
};

}  // namespace litedelegates
