#include "runtime/chatter.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <new>
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

// Abseil's lines, in the GPU library: a letter for the severity and the date, as in "I0000 00:00:...".
bool is_of_abseil(std::string_view line) {
  return line.size() > 5 && std::string_view("IWEF").find(line[0]) != std::string_view::npos &&
         line.find_first_not_of("0123456789", 1) == 5 && line[5] == ' ';
}

bool continues(std::string_view line) {
  return line.empty() || line[0] == ' ' || line[0] == '\t' || line.starts_with("} ");
}

// The GPU's library prints a constant that it cannot use as an operand, and leaves that op to others.
bool tells_of_unused_constant(std::string_view message) { return message.ends_with("-convertible."); }

bool is_of_the_runtime(std::string_view line) {
  // How LiteRT and TFLite begin their lines, and Vulkan's drivers and Dawn's error traces theirs.
  constexpr std::array<std::string_view, 10> kBeginnings = {
      "INFO: ",  "WARNING: ", "ERROR: ",   "VERBOSE: ",           "DEBUG: ",
      "error: ", "warning: ", "Warning: ", "=== Source Location", "third_party/"};
  for (const std::string_view beginning : kBeginnings) {
    if (line.starts_with(beginning)) return true;
  }
  return is_of_abseil(line);
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

// Keep the runtime's lines of a text and write the others to where they were meant to go.
void sort_lines(const std::string& text, int descriptor, std::vector<std::string>& lines) {
  bool was_of_the_runtime = false;
  bool quotes_exception = false;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    // Indented lines continue the one before, as in an error with its trace.
    const bool goes_on = was_of_the_runtime && continues(line);
    was_of_the_runtime = goes_on || quotes_exception || is_of_the_runtime(line);
    // OpenVINO's exceptions are quoted with all their lines, the last of them empty.
    quotes_exception =
        line.find("Exception in compilation: ") != std::string::npos || (quotes_exception && !line.empty());
    if (was_of_the_runtime) {
      lines.push_back(line);
    } else {
      static_cast<void>(dprintf(descriptor, "%s\n", line.c_str()));
    }
  }
}

}  // namespace

bool Chatter::Stream::begin() {
  original = ::dup(descriptor);
  caught = original < 0 ? -1 : memory_file();
  if (caught >= 0 && ::dup2(caught, descriptor) >= 0) return true;
  // No descriptor left, or none to begin with: go on without catching.
  if (caught >= 0) ::close(caught);
  if (original >= 0) ::close(original);
  original = caught = -1;
  return false;
}

std::string Chatter::Stream::end() {
  if (caught < 0) return {};
  ::dup2(original, descriptor);
  std::string text;
  try {
    text = read_all(caught);
  } catch (const std::bad_alloc&) {
    text.clear();  // lines of a log are no reason to fail
  }
  ::close(caught);
  ::close(original);
  original = caught = -1;
  return text;
}

Chatter::Chatter(std::vector<std::string>& lines) : lines_(lines) {
  // Whoever looks for the last words of a crash needs them on the terminal.
  if (std::getenv("LITEDELEGATES_STDERR") != nullptr) return;
  catching().lock();
  is_catching_ = true;
  std::fflush(stdout);
  std::fflush(stderr);
  static_cast<void>(output_.begin());
  static_cast<void>(error_.begin());
}

void Chatter::end() {
  if (!is_catching_) return;
  is_catching_ = false;
  std::fflush(stdout);
  std::fflush(stderr);
  const std::string output = output_.end(), error = error_.end();
  catching().unlock();
  try {
    sort_lines(output, STDOUT_FILENO, lines_);
    sort_lines(error, STDERR_FILENO, lines_);
  } catch (const std::bad_alloc&) {
    return;  // the destructor comes here too, and must not throw
  }
}

Chatter::~Chatter() { end(); }

std::string accelerator_errors(const std::vector<std::string>& lines, size_t first) {
  std::vector<std::string> found;
  bool is_error = false;
  for (size_t i = first; i < lines.size(); ++i) {
    const std::string& line = lines[i];
    if (is_of_abseil(line)) {
      is_error = line[0] == 'E' || line[0] == 'F';
      const size_t place = line.find("] ");
      if (is_error) found.push_back("\n  " + (place == std::string::npos ? line : line.substr(place + 2)));
    } else {
      is_error = is_error && continues(line);
      if (is_error && !line.empty()) found.back() += "\n  " + line;
    }
  }
  std::erase_if(found, tells_of_unused_constant);
  // A driver repeats itself for each buffer that it refuses.
  std::string text;
  for (size_t i = 0; i < found.size(); ++i) {
    if (std::find(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(i), found[i]) ==
        found.begin() + static_cast<std::ptrdiff_t>(i))
      text += found[i];
  }
  return text;
}

}  // namespace litedelegates
