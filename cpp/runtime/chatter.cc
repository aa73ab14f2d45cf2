#include "runtime/chatter.h"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string_view>

namespace litedelegates {
namespace {

std::mutex& catching() {
  static std::mutex mutex;
  return mutex;
}

int memory_file() {
#ifdef __linux__
  return memfd_create("litedelegates-chatter", MFD_CLOEXEC);
#else
  FILE* file = std::tmpfile();
  return file == nullptr ? -1 : ::dup(fileno(file));
#endif
}

bool is_of_the_runtime(std::string_view line) {
  // How LiteRT and TFLite begin their lines, and Vulkan's drivers and Dawn's error traces theirs.
  constexpr std::array<std::string_view, 10> kBeginnings = {
      "INFO: ", "WARNING: ", "ERROR: ", "VERBOSE: ",         "DEBUG: ",
      "error: ", "warning: ", "Warning: ", "=== Source Location", "third_party/"};
  for (const std::string_view beginning : kBeginnings) {
    if (line.starts_with(beginning)) return true;
  }
  // Abseil's, in the GPU library: a letter for the severity and the date, as in "I0000 00:00:...".
  return line.size() > 5 && std::string_view("IWEF").find(line[0]) != std::string_view::npos &&
         line.find_first_not_of("0123456789", 1) == 5 && line[5] == ' ';
}

std::string read_all(int file) {
  std::string text;
  std::array<char, 4096> block{};
  ::lseek(file, 0, SEEK_SET);
  for (ssize_t count = ::read(file, block.data(), block.size()); count > 0;
       count = ::read(file, block.data(), block.size())) {
    text.append(block.data(), static_cast<size_t>(count));
  }
  return text;
}

}  // namespace

Chatter::Chatter(std::vector<std::string>& lines) : lines_(lines) {
  // Whoever looks for the last words of a crash needs them on the terminal.
  if (std::getenv("LITEDELEGATES_STDERR") != nullptr) return;
  catching().lock();
  std::fflush(stderr);
  original_ = ::dup(STDERR_FILENO);
  caught_ = original_ < 0 ? -1 : memory_file();
  if (caught_ >= 0 && ::dup2(caught_, STDERR_FILENO) >= 0) return;
  // No descriptor left, or no standard error at all: go on without catching.
  if (caught_ >= 0) ::close(caught_);
  if (original_ >= 0) ::close(original_);
  caught_ = original_ = -1;
  catching().unlock();
}

void Chatter::end() {
  if (caught_ < 0) return;
  std::fflush(stderr);
  ::dup2(original_, STDERR_FILENO);
  const std::string text = read_all(caught_);
  ::close(caught_);
  ::close(original_);
  caught_ = original_ = -1;
  catching().unlock();
  for (size_t begin = 0; begin < text.size();) {
    size_t end = text.find('\n', begin);
    if (end == std::string::npos) end = text.size();
    const std::string line = text.substr(begin, end - begin);
    if (is_of_the_runtime(line)) {
      lines_.push_back(line);
    } else {
      std::fprintf(stderr, "%s\n", line.c_str());
    }
    begin = end + 1;
  }
}

Chatter::~Chatter() { end(); }

}  // namespace litedelegates
