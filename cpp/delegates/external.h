// External delegates: shared libraries that create a TFLite delegate from keys and values.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "delegates/loaded.h"

namespace litedelegates {

class ExternalDelegate : public LoadedDelegate {
 public:
  using Options = std::vector<std::pair<std::string, std::string>>;

  // Raises with the library's own words when it does not create one.
  ExternalDelegate(const std::string& library, const Options& options);
  ~ExternalDelegate() override;

 private:
  void (*destroy_)(TfLiteDelegate*) = nullptr;
};

}  // namespace litedelegates
