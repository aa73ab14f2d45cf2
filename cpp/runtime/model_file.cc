#include "runtime/model_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "model/fold.h"
#include "model/infer.h"
#include "model/parse.h"
#include "model/verify.h"
#include "runtime/error.h"
#include "runtime/io_tensor.h"

namespace litedelegates {
namespace {

// Reading this much, or copying it for other shapes, takes a tenth of a millisecond at most.
constexpr size_t kSmallFile = 1 << 20;

[[noreturn]] void refuse(const std::string& origin, const std::string& reason) {
  throw Error(ErrorKind::kInvalidModel, origin + " is not a model that can be run: " + reason);
}

struct OpenFile {
  int descriptor;
  explicit OpenFile(int opened) : descriptor(opened) {}
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile() {
    if (descriptor >= 0) ::close(descriptor);
  }
  [[nodiscard]] int release() { return std::exchange(descriptor, -1); }
};

void read_all(int descriptor, uint8_t* bytes, size_t size, const std::string& path) {
  size_t done = 0;
  while (done < size) {
    const ssize_t count = ::pread(descriptor, bytes + done, size - done, static_cast<off_t>(done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) refuse(path, std::strerror(errno));
    if (count == 0) refuse(path, "the file became shorter while it was read");
    done += static_cast<size_t>(count);
  }
}

// A file in memory with these bytes; -1 where the system has none.
int memory_file(std::span<const uint8_t> bytes) {
#ifdef MFD_CLOEXEC
  OpenFile file(::memfd_create("model", MFD_CLOEXEC));
  if (file.descriptor < 0) return -1;
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = ::write(file.descriptor, bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return -1;
    done += static_cast<size_t>(count);
  }
  return file.release();
#else
  static_cast<void>(bytes);
  return -1;
#endif
}

size_t page_size() { return static_cast<size_t>(::sysconf(_SC_PAGESIZE)); }

}  // namespace

ModelFile::ModelFile(const uint8_t* address, size_t size, Memory memory, int descriptor)
    : size_(size), memory_(memory), descriptor_(descriptor), address_(address) {}

ModelFile::~ModelFile() {
  if (memory_ == Memory::mapped) {
    ::munmap(const_cast<uint8_t*>(address_), size_);
  } else {
    std::free(const_cast<uint8_t*>(address_));
  }
  if (descriptor_ >= 0) ::close(descriptor_);
}

void ModelFile::verify(const std::string& origin) {
  try {
    description_ = model::verify(bytes());
  } catch (const model::InvalidModel& invalid) {
    refuse(origin, invalid.what());
  }
  computes_shapes_ = model::computes_shapes(*description_);
}

std::shared_ptr<const ModelFile> ModelFile::open(const std::string& path) {
  OpenFile file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.descriptor < 0) refuse(path, std::strerror(errno));
  struct stat status {};
  if (::fstat(file.descriptor, &status) != 0) refuse(path, std::strerror(errno));
  if (!S_ISREG(status.st_mode)) refuse(path, "it is not a regular file");
  if (status.st_size == 0) refuse(path, "the file is empty");
  const auto size = static_cast<size_t>(status.st_size);
  if (size <= kSmallFile) {
    const auto model = allocate(size, [&](uint8_t* bytes) { read_all(file.descriptor, bytes, size, path); });
    model->verify(path);
    return model;
  }
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.descriptor, 0);
  if (address == MAP_FAILED) refuse(path, std::strerror(errno));
  const std::shared_ptr<ModelFile> model(
      new ModelFile(static_cast<const uint8_t*>(address), size, Memory::mapped, -1));
  model->verify(path);
  if (model->computes_shapes_) model->descriptor_ = file.release();
  return model;
}

std::shared_ptr<const ModelFile> ModelFile::copy(std::span<const uint8_t> bytes) {
  const std::string origin = "the model of " + std::to_string(bytes.size()) + " bytes";
  if (bytes.empty()) refuse(origin, "there is nothing in it");
  auto model = allocate(bytes.size(), [&](uint8_t* to) { std::memcpy(to, bytes.data(), bytes.size()); });
  model->verify(origin);
  return model->computes_shapes_ && bytes.size() > kSmallFile ? shareable(std::move(model)) : model;
}

template <class Fill>
std::shared_ptr<ModelFile> ModelFile::allocate(size_t size, const Fill& fill) {
  auto* address = static_cast<uint8_t*>(aligned_memory(size));
  const std::shared_ptr<ModelFile> model(new ModelFile(address, size, Memory::allocated, -1));
  fill(address);
  return model;
}

std::shared_ptr<ModelFile> ModelFile::shareable(std::shared_ptr<ModelFile> model) {
  OpenFile file(memory_file(model->bytes()));
  if (file.descriptor < 0) return model;
  void* address = ::mmap(nullptr, model->size_, PROT_READ, MAP_PRIVATE, file.descriptor, 0);
  if (address == MAP_FAILED) return model;
  const std::shared_ptr<ModelFile> mapped(
      new ModelFile(static_cast<const uint8_t*>(address), model->size_, Memory::mapped, file.release()));
  // The same bytes elsewhere: what was found out about them holds.
  mapped->description_ = std::move(model->description_);
  mapped->computes_shapes_ = model->computes_shapes_;
  for (model::Subgraph& subgraph : mapped->description_->subgraphs) {
    for (model::Tensor& tensor : subgraph.tensors) {
      if (!tensor.data.empty()) {
        tensor.data = {mapped->address_ + (tensor.data.data() - model->address_), tensor.data.size()};
      }
    }
  }
  return mapped;
}

std::shared_ptr<const ModelFile> ModelFile::behind(std::span<const uint8_t> header) const {
  const size_t total = header.size() + size_;
  // This file is a model: if that one is none, such as with a tensor too large for the runtime, its shapes
  // are wrong, which `fold` says.
  const auto verify_shapes = [](ModelFile& made) {
    made.description_ = model::verify(made.bytes());
    made.computes_shapes_ = model::computes_shapes(*made.description_);
  };
  if (descriptor_ < 0) {
    const auto model = allocate(total, [&](uint8_t* to) {
      std::memcpy(to, header.data(), header.size());
      std::memcpy(to + header.size(), address_, size_);
    });
    verify_shapes(*model);
    return model;
  }
  void* address = ::mmap(nullptr, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED) throw std::bad_alloc();
  auto* begin = static_cast<uint8_t*>(address);
  const std::shared_ptr<ModelFile> model(new ModelFile(begin, total, Memory::mapped, -1));
  std::memcpy(begin, header.data(), header.size());
  void* rest = ::mmap(begin + header.size(), size_, PROT_READ, MAP_PRIVATE | MAP_FIXED, descriptor_, 0);
  if (rest == MAP_FAILED || ::mprotect(begin, header.size(), PROT_READ) != 0) throw std::bad_alloc();
  verify_shapes(*model);
  return model;
}

ModelFile::Folded ModelFile::fold(const std::shared_ptr<const ModelFile>& file, size_t subgraph,
                                  const std::vector<std::vector<int64_t>>& inputs) {
  Folded folded;
  try {
    const model::File bytes(file->bytes());
    const model::Parsed parsed = model::parse_again(bytes, file->description_);
    const model::Inference inference = model::infer(parsed, subgraph, inputs);
    if (inference.unknown) {
      folded.obstacle = "the size of what operator " + std::to_string(inference.unknown->op) + " (" +
                        inference.unknown->type + ") of subgraph " +
                        std::to_string(inference.unknown->subgraph) +
                        " makes is only known while the model runs";
      return folded;
    }
    const model::InferredGraph& graph = inference.graphs.at(subgraph);
    for (const int32_t output : file->description().subgraphs.at(subgraph).outputs) {
      const model::Shape& shape = graph.shapes.at(static_cast<size_t>(output));
      folded.outputs.emplace_back(shape->begin(), shape->end());
    }
    if (!model::can_be_folded(bytes, parsed)) {
      folded.obstacle = "it holds a program that is found by its place in the file";
      return folded;
    }
    model::Folded changed = model::fold(bytes, parsed, inference, page_size());
    folded.operators = std::move(changed.operators);
    folded.file = changed.header.empty() ? file : file->behind(changed.header);
  } catch (const model::InvalidModel& invalid) {
    throw Error(ErrorKind::kCompile,
                std::string("the model cannot take inputs of these shapes: ") + invalid.what());
  }
  return folded;
}

}  // namespace litedelegates
