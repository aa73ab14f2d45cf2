#include "delegates/stable.h"

#include <dlfcn.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "runtime/error.h"

namespace litedelegates {

struct StableDelegate::Plugin {
  TfLiteDelegate* (*create)(const void* settings);
  void (*destroy)(TfLiteDelegate*);
  int (*error_number)(TfLiteDelegate*);
};

namespace {

constexpr const char* kSymbol = "TFL_TheStableDelegate";
constexpr const char* kFolderVariable = "TFLITE_STABLE_DELEGATE_LIBRARY_PATH";
constexpr const char* kHostLibrary = "libtflite_host_accessors.so";

struct StableDelegateDescription {
  const char* abi_version;
  const char* name;
  const char* version;
  const void* plugin;
};

std::atomic<bool> host_is_open{false};

[[noreturn]] void fail(const std::string& path, const std::string& why) {
  throw Error(ErrorKind::kDelegate, "cannot load the stable delegate " + path + ": " + why);
}

std::string text_of(const char* text) { return text == nullptr ? "" : text; }

std::string last_loader_error() {
  const char* reason = dlerror();
  return reason == nullptr ? "unknown reason" : reason;
}

// It lies beside this very library.
std::string host_library() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&host_accessors_are_open), &info) == 0) return kHostLibrary;
  const std::string own = text_of(info.dli_fname);
  const size_t slash = own.rfind('/');
  return slash == std::string::npos ? kHostLibrary : own.substr(0, slash + 1) + kHostLibrary;
}

void open_host_accessors(const std::string& wanted_by) {
  if (host_is_open) return;
  const std::string path = host_library();
  if (dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL | RTLD_NODELETE) == nullptr) {
    fail(wanted_by, "the library of host accessors cannot be opened: " + last_loader_error());
  }
  host_is_open = true;
}

// Told as the runtime's own loader tells it: delegates look for their other files there.
void publish_folder(const std::string& path) {
  const size_t slash = path.rfind('/');
  setenv(kFolderVariable, slash == std::string::npos ? "" : path.substr(0, slash).c_str(), 1);
}

// RTLD_NOW: an undefined symbol is an error here and not the end of the process later. The library stays:
// what it registered with the process (thread keys, exit handlers) would otherwise point at nothing.
void* open_delegate_library(const std::string& path, bool prefers_host_accessors) {
  const bool is_a_path = path.find('/') != std::string::npos;
  if (is_a_path && access(path.c_str(), F_OK) != 0) fail(path, "there is no such file");
  publish_folder(path);
  if (prefers_host_accessors) open_host_accessors(path);
  const int flags = RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE;
  void* library = dlopen(path.c_str(), flags);
  if (library != nullptr) return library;
  std::string reason = last_loader_error();
  const bool wants_host = reason.find("TfLite") != std::string::npos && !host_is_open;
  if (wants_host) {
    open_host_accessors(path);
    library = dlopen(path.c_str(), flags);
    if (library != nullptr) return library;
    reason = last_loader_error();
  }
  const bool is_missing = reason.find("No such file") != std::string::npos;
  if (is_a_path && is_missing && reason.rfind(path, 0) != 0) {
    reason = "a library that it needs is missing: " + reason;
  }
  fail(path, reason);
}

const StableDelegateDescription& description_of(void* library, const std::string& path) {
  const auto* found = static_cast<const StableDelegateDescription*>(dlsym(library, kSymbol));
  if (found == nullptr) {
    const bool is_external = dlsym(library, "tflite_plugin_create_delegate") != nullptr;
    fail(path, std::string("it does not export ") + kSymbol +
                   (is_external ? "; it is an external delegate" : ", so it is no stable delegate"));
  }
  // Only the major version breaks; the layout of the rest depends on it.
  const std::string version = text_of(found->abi_version);
  if (version.substr(0, version.find('.')) != "1") {
    fail(path, "it has version \"" + version + "\" of the stable ABI, and version 1.0.0 is supported");
  }
  return *found;
}

}  // namespace

bool host_accessors_are_open() { return host_is_open; }

StableDelegate::StableDelegate(const StableDelegateRequest& request) {
  static std::mutex loading;  // the folder is told through the environment, so one at a time
  const std::lock_guard<std::mutex> lock(loading);
  const std::string& path = request.path;
  uint32_t root = 0;
  if (request.settings.size() < sizeof(root)) fail(path, "its settings are no flatbuffer");
  std::memcpy(&root, request.settings.data(), sizeof(root));
  if (root % 4 != 0 || root > request.settings.size() - 4) fail(path, "its settings are no flatbuffer");
  settings_.resize(request.settings.size() / sizeof(max_align_t) + 1);
  std::memcpy(settings_.data(), request.settings.data(), request.settings.size());

  void* library = open_delegate_library(path, request.prefers_host_accessors);
  const StableDelegateDescription& description = description_of(library, path);
  plugin_ = static_cast<const Plugin*>(description.plugin);
  if (plugin_ == nullptr || plugin_->create == nullptr || plugin_->destroy == nullptr) {
    fail(path, "its plugin lacks functions");
  }
  name_ = text_of(description.name);
  version_ = text_of(description.version);
  errno = 0;
  delegate_ = plugin_->create(reinterpret_cast<const char*>(settings_.data()) + root);
  if (delegate_ != nullptr) return;
  // The plugin's own function wants a delegate, and there is none to ask about.
  const int number = errno;
  fail(path, "it returned no delegate for these settings (errno " + std::to_string(number) +
                 (number == 0 ? ")" : std::string(": ") + std::strerror(number) + ")"));
}

StableDelegate::~StableDelegate() {
  if (delegate_ != nullptr) plugin_->destroy(delegate_);
}

}  // namespace litedelegates
