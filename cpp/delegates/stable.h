// Delegates of the stable ABI: a shared library whose data symbol `TFL_TheStableDelegate` says how to make
// one.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "delegates/loaded.h"

namespace litedelegates {

struct StableDelegateRequest {
  std::string path;
  std::string settings;                 // a flatbuffer whose root table is a TFLiteSettings
  bool prefers_host_accessors = false;  // also where the library carries the accessors itself
};

class StableDelegate : public LoadedDelegate {
 public:
  explicit StableDelegate(const StableDelegateRequest& request);
  ~StableDelegate() override;

  // As the library tells them; empty where it does not.
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::string& version() const { return version_; }

 private:
  struct Plugin;

  std::vector<max_align_t> settings_;  // delegates may read it as long as they live
  const Plugin* plugin_ = nullptr;
  std::string name_;
  std::string version_;
};

// Whether the library of host accessors is open in this process.
[[nodiscard]] bool host_accessors_are_open();

}  // namespace litedelegates
