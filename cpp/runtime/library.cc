#include "runtime/library.h"

#include <dlfcn.h>

#include <mutex>
#include <vector>

#include "runtime/error.h"

namespace litedelegates {
namespace {

struct OpenedLibrary {
  std::string path, folder;
  Api api;
  bool is_open = false;
};

OpenedLibrary& opened() {
  static auto* library = new OpenedLibrary;  // never destroyed: models may die after static destructors ran
  return *library;
}

std::mutex& opening() {
  static std::mutex mutex;
  return mutex;
}

Api resolve(void* handle, const std::string& path) {
  Api table;
  std::vector<std::string> missing;
#define LITEDELEGATES_RESOLVE(name)                                          \
  table.name = reinterpret_cast<decltype(table.name)>(dlsym(handle, #name)); \
  if (table.name == nullptr) missing.emplace_back(#name);
  LITEDELEGATES_SYMBOLS(LITEDELEGATES_RESOLVE)
#undef LITEDELEGATES_RESOLVE
  if (!missing.empty()) {
    std::string names;
    for (const auto& name : missing) names += (names.empty() ? "" : ", ") + name;
    throw Error(ErrorKind::kRuntimeLibrary,
                path + " is not a LiteRT runtime that this version can drive: it lacks " +
                    std::to_string(missing.size()) + " symbols (" + names +
                    "). Install a supported one: pip install 'ai-edge-litert>=2.2,<2.4'");
  }
  return table;
}

void check_layout(const Api& table, const std::string& path) {
  const LiteRtAcceleratorDef* cpu = *table.LiteRtStaticLinkedAcceleratorCpuDef;
  const bool known = cpu != nullptr && cpu->header.major == 1 && cpu->header.struct_size >= sizeof(*cpu);
  if (known) return;
  throw Error(ErrorKind::kRuntimeLibrary,
              path + " describes its accelerators in layout " +
                  (cpu == nullptr ? std::string("none") : std::to_string(cpu->header.major)) +
                  ", and this version reads layout 1. Install a supported runtime: "
                  "pip install 'ai-edge-litert>=2.2,<2.4'");
}

}  // namespace

void* open_forever(const std::string& path) {
  void* handle = dlopen(path.c_str(), RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE);
  if (handle == nullptr) {
    const char* reason = dlerror();
    throw Error(ErrorKind::kRuntimeLibrary,
                "cannot open " + path + ": " + (reason != nullptr ? reason : "unknown reason"));
  }
  return handle;
}

void open_library(const std::string& path, const std::string& folder) {
  const std::lock_guard<std::mutex> lock(opening());
  OpenedLibrary& library = opened();
  if (library.is_open) {
    if (library.path == path) return;
    throw Error(ErrorKind::kRuntimeLibrary,
                "this process already runs on " + library.path + "; start another process to use " + path);
  }
  const Api table = resolve(open_forever(path), path);
  check_layout(table, path);
  library.path = path;
  library.folder = folder;
  library.api = table;
  library.is_open = true;
}

const std::string& library_folder() { return opened().folder; }

const Api& api() {
  if (!opened().is_open) {
    throw Error(ErrorKind::kRuntimeLibrary, "the LiteRT runtime was not opened before it was used");
  }
  return opened().api;
}

}  // namespace litedelegates
