// The runtime's OpenVINO dispatch library imports each compiled graph with no properties, so that precision
// and threads asked for are lost. This library stands before OpenVINO in the global scope, sees that one
// call, and puts the properties on OpenVINO's core around it. What the imported graph then says of itself is
// kept as evidence.
//
// A library of its own, because it has to be global and the extension should not be. Python drives it by
// ctypes; the properties belong to the calling thread.
#include <dlfcn.h>

#include <mutex>
#include <string>
#include <utility>
#include <vector>

// ov::Core::import_model(std::istream&, const std::string&, const ov::AnyMap&)
#define IMPORT_MODEL                                                                               \
  "_ZN2ov4Core12import_modelERSiRKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEERKSt3mapIS7" \
  "_NS_3AnyESt4lessIS7_ESaISt4pairIS8_SB_EEE"

namespace {

// OpenVINO's C interface takes pointers to shared_ptr; one that owns nothing borrows the C++ object.
struct Borrowed {
  const void* object;
  void* owner = nullptr;
};
using Import = void* (*)(void*, void*, void*, const std::string&, const void*);
using GetProperty = int (*)(const Borrowed*, const char*, const char*, char**);
using SetProperty = int (*)(const Borrowed*, const char*, ...);
using GetCompiledProperty = int (*)(const Borrowed*, const char*, char**);
using Free = void (*)(const char*);
using LastError = const char* (*)();

Import real_import = nullptr;
GetProperty get_property = nullptr;
SetProperty set_property = nullptr;
GetCompiledProperty get_compiled_property = nullptr;
Free free_text = nullptr;
LastError last_error = nullptr;

struct Armed {
  std::vector<std::pair<std::string, std::string>> properties;
  std::vector<std::string> watched;
  std::string effect;  // lines of "key=value", each import closed by an empty line
  std::string error;
  int imports = 0;
};
thread_local Armed armed;
// The core is one for the process: no other import may meet these properties.
std::mutex importing;

std::string take(char* text) {
  std::string result = text == nullptr ? "" : text;
  if (text != nullptr) free_text(text);
  return result;
}

class Properties {
 public:
  Properties(const Borrowed& core, const std::string& device) : core_(core), device_(device) {
    for (const auto& [key, value] : armed.properties) {
      char* text = nullptr;
      if (get_property(&core_, device_.c_str(), key.c_str(), &text) == 0)
        before_.emplace_back(key, take(text));
      if (set_property(&core_, device_.c_str(), key.c_str(), value.c_str()) != 0) {
        armed.error.append(key).append("=").append(value).append(": ").append(last_error()).append("\n");
      }
    }
  }
  Properties(const Properties&) = delete;
  Properties& operator=(const Properties&) = delete;
  ~Properties() {
    for (const auto& [key, value] : before_)
      set_property(&core_, device_.c_str(), key.c_str(), value.c_str());
  }

 private:
  const Borrowed& core_;
  const std::string& device_;
  std::vector<std::pair<std::string, std::string>> before_;
};

void read_effect(const void* compiled) {
  const Borrowed borrowed{compiled};
  for (const std::string& key : armed.watched) {
    char* text = nullptr;
    if (get_compiled_property(&borrowed, key.c_str(), &text) == 0)
      armed.effect.append(key).append("=").append(take(text)).append("\n");
  }
  armed.effect += "\n";
}

template <typename Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

// The function that a caller would have called without this library: others may have brought another
// OpenVINO.
Import import_of(const void* caller) {
  Dl_info info{};
  if (dladdr(caller, &info) == 0) return real_import;
  void* const library = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
  if (library == nullptr) return real_import;
  Import found = nullptr;
  find(library, IMPORT_MODEL, found);
  dlclose(library);
  return found == nullptr ? real_import : found;
}

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

// ov::Core::import_model(std::istream&, const std::string&, const ov::AnyMap&), as the x86-64 ABI passes it:
// the place of the result first, then the object.
EXPORT void* import_model(void* result, void* core, void* stream, const std::string& device,
                          const void* properties) __asm__(IMPORT_MODEL);

void* import_model(void* result, void* core, void* stream, const std::string& device,
                   const void* properties) {
  const Import import = import_of(__builtin_return_address(0));
  if (armed.watched.empty() || import != real_import) return import(result, core, stream, device, properties);
  const std::lock_guard lock(importing);
  const Borrowed borrowed{core};
  const Properties on_core(borrowed, device);
  void* const compiled = import(result, core, stream, device, properties);
  ++armed.imports;
  read_effect(compiled);
  return compiled;
}

// Finds OpenVINO's functions; 0 when one is missing.
EXPORT int litedelegates_openvino_bind(void* openvino, void* openvino_c) {
  return find(openvino, IMPORT_MODEL, real_import) &&
         find(openvino_c, "ov_core_get_property", get_property) &&
         find(openvino_c, "ov_core_set_property", set_property) &&
         find(openvino_c, "ov_compiled_model_get_property", get_compiled_property) &&
         find(openvino_c, "ov_free", free_text) && find(openvino_c, "ov_get_last_err_msg", last_error);
}

// From now on imports of this thread get these properties, and what they say of `watched` is kept.
EXPORT void litedelegates_openvino_arm(const char* const* keys, const char* const* values, int count,
                                       const char* const* watched, int watched_count) {
  armed = {};
  for (int i = 0; i < count; ++i) armed.properties.emplace_back(keys[i], values[i]);
  for (int i = 0; i < watched_count; ++i) armed.watched.emplace_back(watched[i]);
}

EXPORT void litedelegates_openvino_disarm() {
  armed.properties.clear();
  armed.watched.clear();
}

EXPORT int litedelegates_openvino_imports() { return armed.imports; }
EXPORT const char* litedelegates_openvino_effect() { return armed.effect.c_str(); }
EXPORT const char* litedelegates_openvino_error() { return armed.error.c_str(); }
