#include "delegates/external.h"

#include <exception>
#include <new>

#include "delegates/shared_library.h"
#include "runtime/error.h"

namespace litedelegates {
namespace {

using Create = TfLiteDelegate* (*)(char** keys, char** values, size_t count, void (*report)(const char*));
using Destroy = void (*)(TfLiteDelegate*);

// The callback is given nothing of ours. Creating happens on one thread, so what it says is kept there.
thread_local std::string* current_words = nullptr;

void report(const char* message) {
  if (current_words == nullptr || message == nullptr) return;
  try {
    if (!current_words->empty()) *current_words += "; ";
    *current_words += message;
  } catch (const std::bad_alloc&) {
    return;  // nothing may be thrown into a library in C
  }
}

TfLiteDelegate* call(Create create, const ExternalDelegate::Options& options, std::string& words) {
  // The interface takes plain `char*` and libraries may write into them: each gets its own copy.
  ExternalDelegate::Options copies = options;
  std::vector<char*> keys, values;
  for (auto& [key, value] : copies) {
    keys.push_back(key.data());
    values.push_back(value.data());
  }
  std::string* const outer = current_words;
  current_words = &words;
  TfLiteDelegate* delegate = nullptr;
  try {
    delegate = create(keys.data(), values.data(), keys.size(), report);
  } catch (const std::exception& thrown) {
    report(thrown.what());
  }
  current_words = outer;
  return delegate;
}

std::string shown(const ExternalDelegate::Options& options) {
  std::string text;
  for (const auto& [key, value] : options) {
    text += text.empty() ? "" : ", ";
    text.append(key).append("=").append(value);
  }
  return text.empty() ? "no options" : "the options " + text;
}

}  // namespace

ExternalDelegate::ExternalDelegate(const std::string& library, const Options& options) {
  void* handle = open_delegate_library(library);
  const std::vector<void*> symbols =
      find_symbols(handle, library, {"tflite_plugin_create_delegate", "tflite_plugin_destroy_delegate"});
  destroy_ = reinterpret_cast<Destroy>(symbols[1]);
  std::string words;
  delegate_ = call(reinterpret_cast<Create>(symbols[0]), options, words);
  if (delegate_ == nullptr) {
    if (words.empty()) {
      words =
          "it gave no reason. Probable ones: a key or value that it does not know, a device that is missing, "
          "in use or not permitted, or a library made for another runtime";
    }
    throw Error(ErrorKind::kDelegate,
                library + " did not create a delegate with " + shown(options) + ": " + words);
  }
}

ExternalDelegate::~ExternalDelegate() {
  if (delegate_ != nullptr) destroy_(delegate_);
}

}  // namespace litedelegates
