#include "runtime/model_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "model/verify.h"
#include "runtime/error.h"
#include "runtime/io_tensor.h"

namespace litedelegates {
namespace {

[[noreturn]] void refuse(const std::string& origin, const std::string& reason) {
  throw Error(ErrorKind::kInvalidModel, origin + " is not a model that can be run: " + reason);
}

struct OpenFile {
  int descriptor;
  ~OpenFile() { ::close(descriptor); }
};

}  // namespace

ModelFile::ModelFile(const uint8_t* address, size_t size, bool is_mapped)
    : address_(address), size_(size), is_mapped_(is_mapped) {}

ModelFile::~ModelFile() {
  if (is_mapped_) {
    ::munmap(const_cast<uint8_t*>(address_), size_);
  } else {
    std::free(const_cast<uint8_t*>(address_));
  }
}

void ModelFile::verify(const std::string& origin) {
  try {
    description_ = model::verify(bytes());
  } catch (const model::InvalidModel& invalid) {
    refuse(origin, invalid.what());
  }
}

std::shared_ptr<const ModelFile> ModelFile::open(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) refuse(path, std::strerror(errno));
  const OpenFile file{descriptor};
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) refuse(path, std::strerror(errno));
  if (!S_ISREG(status.st_mode)) refuse(path, "it is not a regular file");
  if (status.st_size == 0) refuse(path, "the file is empty");
  const auto size = static_cast<size_t>(status.st_size);
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  if (address == MAP_FAILED) refuse(path, std::strerror(errno));
  const std::shared_ptr<ModelFile> model(new ModelFile(static_cast<const uint8_t*>(address), size, true));
  model->verify(path);
  return model;
}

std::shared_ptr<const ModelFile> ModelFile::copy(std::span<const uint8_t> bytes) {
  const std::string origin = "the model of " + std::to_string(bytes.size()) + " bytes";
  if (bytes.empty()) refuse(origin, "there is nothing in it");
  auto* address = static_cast<uint8_t*>(aligned_memory(bytes.size()));
  std::memcpy(address, bytes.data(), bytes.size());
  const std::shared_ptr<ModelFile> model(new ModelFile(address, bytes.size(), false));
  model->verify(origin);
  return model;
}

}  // namespace litedelegates
