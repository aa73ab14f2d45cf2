#include "delegates/hosted.h"

#include <dlfcn.h>

#include <mutex>
#include <unordered_map>

#include "runtime/error.h"

namespace litedelegates {
namespace {

// The runtime's callbacks get the accelerator and nothing of ours, so the way back is a map.
struct HostedMap {
  std::mutex mutex;
  std::unordered_map<LiteRtAccelerator, const HostedDelegate*> delegates;
};

HostedMap& hosted() {
  static auto* map = new HostedMap;  // never destroyed: environments may outlive static destructors
  return *map;
}

const HostedDelegate* find(LiteRtAccelerator accelerator) {
  const std::lock_guard<std::mutex> lock(hosted().mutex);
  const auto found = hosted().delegates.find(accelerator);
  return found == hosted().delegates.end() ? nullptr : found->second;
}

LiteRtStatus hosted_name(LiteRtAccelerator accelerator, const char** name) {
  const HostedDelegate* host = find(accelerator);
  *name = host == nullptr ? "gone" : host->name().c_str();
  return LiteRtStatus::kOk;
}

LiteRtStatus hosted_version(LiteRtAccelerator, LiteRtApiVersion* version) {
  *version = {1, 0, 0};
  return LiteRtStatus::kOk;
}

// "CPU", whatever the delegate drives: an accelerator that claims to be an NPU is skipped silently in 2.3.0.
LiteRtStatus hosted_hardware(LiteRtAccelerator, int32_t* hardware) {
  *hardware = kLiteRtCpu;
  return LiteRtStatus::kOk;
}

LiteRtStatus hosted_is_jit(LiteRtAccelerator, bool* is_jit) {
  *is_jit = false;
  return LiteRtStatus::kOk;
}

void keep_delegate(TfLiteDelegate*) {}  // its owner destroys it, after the model

LiteRtStatus hosted_create(LiteRtRuntimeContext*, LiteRtEnvironment, LiteRtAccelerator accelerator,
                           LiteRtOptions, LiteRtDelegateWrapper* out) {
  const HostedDelegate* host = find(accelerator);
  if (host == nullptr) {
    *out = nullptr;  // Ok with nothing: the runtime goes on without it
    return LiteRtStatus::kOk;
  }
  return api().LiteRtWrapDelegate(host->delegate(), keep_delegate, out);
}

void set_callbacks(LiteRtAccelerator accelerator, const LiteRtAcceleratorDef& definition,
                   const std::string& name) {
  const auto must = [&](LiteRtStatus status) {
    check(status, ErrorKind::kDelegate, "describe the accelerator " + name);
  };
  must(api().LiteRtSetAcceleratorGetName(accelerator, definition.get_name));
  must(api().LiteRtSetAcceleratorGetVersion(accelerator, definition.get_version));
  must(api().LiteRtSetAcceleratorGetHardwareSupport(accelerator, definition.get_hardware_support));
  must(api().LiteRtSetIsAcceleratorDelegateResponsibleForJitCompilation(accelerator, definition.is_jit));
  must(api().LiteRtSetDelegateFunction(accelerator, definition.create_delegate));
}

LiteRtAccelerator register_definition(LiteRtEnvironment environment, const LiteRtAcceleratorDef& definition,
                                      const std::string& name) {
  AcceleratorHandle accelerator;
  check(api().LiteRtCreateAccelerator(accelerator.out()), ErrorKind::kDelegate,
        "create an accelerator for " + name);
  set_callbacks(accelerator.get(), definition, name);
  LiteRtAccelerator raw = accelerator.release();  // the runtime owns it from here, also when it refuses it
  check(api().LiteRtRegisterAccelerator(environment, raw, nullptr, nullptr), ErrorKind::kDelegate,
        "register the accelerator " + name);
  return raw;
}

void register_buffers(LiteRtEnvironment environment, const LiteRtAcceleratorDef& definition,
                      const std::string& name) {
  const auto& buffers = definition.buffers;
  for (size_t i = 0; i < buffers.num_types; ++i) {
    check(api().LiteRtRegisterTensorBufferHandlers(
              environment, buffers.types[i], buffers.create, buffers.destroy, buffers.lock, buffers.unlock,
              buffers.clear, buffers.import, buffers.device_tag, buffers.queue_tag),
          ErrorKind::kDelegate, "register the buffers of " + name);
  }
}

}  // namespace

void register_cpu(LiteRtEnvironment environment) {
  register_definition(environment, **api().LiteRtStaticLinkedAcceleratorCpuDef, "XNNPACK");
}

void register_accelerator_library(LiteRtEnvironment environment, const std::string& path) {
  void* library = open_forever(path);
  const auto* definition = static_cast<const LiteRtAcceleratorDef*>(dlsym(library, "LiteRtAcceleratorImpl"));
  if (definition == nullptr) {
    throw Error(ErrorKind::kDelegate, path + " is not a LiteRT accelerator: it lacks LiteRtAcceleratorImpl");
  }
  if (definition->header.major != 1 || definition->header.struct_size < sizeof(LiteRtAcceleratorDef) ||
      definition->buffers.num_types > 16) {
    throw Error(ErrorKind::kDelegate, path + " describes itself in layout " +
                                          std::to_string(definition->header.major) +
                                          ", and this version reads layout 1");
  }
  register_definition(environment, *definition, path);
  register_buffers(environment, *definition, path);
}

HostedDelegate::HostedDelegate(LiteRtEnvironment environment, std::string name, TfLiteDelegate* delegate)
    : name_(std::move(name)), delegate_(delegate) {
  LiteRtAcceleratorDef definition{};
  definition.get_name = hosted_name;
  definition.get_version = hosted_version;
  definition.get_hardware_support = hosted_hardware;
  definition.is_jit = hosted_is_jit;
  definition.create_delegate = hosted_create;
  AcceleratorHandle accelerator;
  check(api().LiteRtCreateAccelerator(accelerator.out()), ErrorKind::kDelegate,
        "create an accelerator for " + name_);
  set_callbacks(accelerator.get(), definition, name_);
  {
    // Before it is registered: registration already asks for the name.
    const std::lock_guard<std::mutex> lock(hosted().mutex);
    hosted().delegates[accelerator.get()] = this;
  }
  accelerator_ = accelerator.release();
  try {
    check(api().LiteRtRegisterAccelerator(environment, accelerator_, nullptr, nullptr), ErrorKind::kDelegate,
          "register the delegate " + name_);
  } catch (...) {
    forget();  // no destructor will
    throw;
  }
}

HostedDelegate::~HostedDelegate() { forget(); }

void HostedDelegate::forget() const {
  const std::lock_guard<std::mutex> lock(hosted().mutex);
  hosted().delegates.erase(accelerator_);
}

}  // namespace litedelegates
