#include "delegates/shared_library.h"

#include <dlfcn.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <optional>
#include <string_view>

#include "runtime/error.h"

namespace litedelegates {
namespace {

// The first 20 bytes of an ELF file: what it is and for whom.
struct ElfHeader {
  std::array<uint8_t, 20> bytes;

  [[nodiscard]] bool is_elf() const { return std::memcmp(bytes.data(), "\177ELF", 4) == 0; }
  [[nodiscard]] int bits() const { return bytes[4] == 1 ? 32 : 64; }
  [[nodiscard]] bool is_big_endian() const { return bytes[5] == 2; }
  [[nodiscard]] int number_at(size_t offset) const {
    const int first = bytes[offset], second = bytes[offset + 1];
    return is_big_endian() ? first << 8 | second : second << 8 | first;
  }
  [[nodiscard]] bool is_shared() const { return number_at(16) == 3; }
  [[nodiscard]] int machine() const { return number_at(18); }
  [[nodiscard]] bool runs_where(const ElfHeader& other) const {
    return bits() == other.bits() && is_big_endian() == other.is_big_endian() && machine() == other.machine();
  }
};

std::optional<ElfHeader> read_header(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  ElfHeader header{};
  file.read(reinterpret_cast<char*>(header.bytes.data()), static_cast<std::streamsize>(header.bytes.size()));
  if (!file) return std::nullopt;
  return header;
}

std::string architecture(const ElfHeader& header) {
  const bool is_big = header.is_big_endian();
  switch (header.machine()) {
    case 3:
      return "x86 (32 bits)";
    case 8:
      return is_big ? "MIPS" : "MIPS (little-endian)";
    case 21:
      return is_big ? "ppc64" : "ppc64le";
    case 22:
      return "s390x";
    case 40:
      return "arm (32 bits)";
    case 62:
      return header.bits() == 32 ? "x32" : "x86-64";
    case 183:
      return is_big ? "aarch64 (big-endian)" : "aarch64";
    case 243:
      return "riscv" + std::to_string(header.bits());
    case 258:
      return "loongarch" + std::to_string(header.bits());
    default:
      return "machine " + std::to_string(header.machine()) + " (" + std::to_string(header.bits()) + " bits)";
  }
}

std::string other_format(const ElfHeader& header) {
  const std::string_view start(reinterpret_cast<const char*>(header.bytes.data()), 4);
  if (start.starts_with("MZ")) return "a Windows library";
  for (const std::string_view mach_o : {"\xcf\xfa\xed\xfe", "\xce\xfa\xed\xfe", "\xca\xfe\xba\xbe"}) {
    if (start == mach_o) return "a macOS library";
  }
  return "no shared library";
}

bool is_path(const std::string& path) { return path.find('/') != std::string::npos; }

bool exists(const std::string& path) {
  struct stat found {};
  return ::stat(path.c_str(), &found) == 0;
}

// What is wrong with the file itself; empty when it looks right.
std::string wrong_with_file(const std::string& path) {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) return std::string("there is no such file: ") + std::strerror(errno);
  if (S_ISDIR(found.st_mode)) return "it is a folder";
  if (FILE* file = std::fopen(path.c_str(), "rb"); file != nullptr) {
    static_cast<void>(std::fclose(file));
  } else {
    return std::string("it cannot be read: ") + std::strerror(errno);
  }
#ifdef __linux__
  const std::optional<ElfHeader> header = read_header(path);
  if (!header) return "it is too short to be a shared library";
  if (!header->is_elf()) return "it is " + other_format(*header) + ", and Linux needs an ELF one";
  const std::optional<ElfHeader> own = read_header("/proc/self/exe");
  if (own && own->is_elf() && !header->runs_where(*own)) {
    return "it is built for " + architecture(*header) + ", and this process runs on " + architecture(*own);
  }
  if (!header->is_shared()) return "it is an ELF file, but no shared library";
#endif
  return {};
}

// The loader's words, with the library named that it did not find: it begins with that one's name.
std::string explain(const std::string& path, const std::string& words) {
  const bool is_about_a_file = words.find("cannot open shared object file") != std::string::npos;
  const std::string named = words.substr(0, words.find(": "));
  if (is_about_a_file && named != path) {
    return "it needs the library " + named +
           ", which is not installed where the loader looks (LD_LIBRARY_PATH adds folders)";
  }
  if (is_about_a_file && !is_path(path)) {
    const std::string hint = exists(path) ? "; the one in the current folder is \"./" + path + "\"" : "";
    return "the system's loader does not find it" + hint;
  }
  return words;
}

}  // namespace

void* open_delegate_library(const std::string& path) {
  const auto fail = [&](const std::string& reason) {
    throw Error(ErrorKind::kDelegate, "cannot open the delegate library " + path + ": " + reason);
  };
  if (is_path(path)) {
    if (const std::string wrong = wrong_with_file(path); !wrong.empty()) fail(wrong);
  }
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (handle == nullptr) {
    const char* words = dlerror();
    fail(explain(path, words == nullptr ? "the loader gives no reason" : words));
  }
  return handle;
}

std::vector<void*> find_symbols(void* library, const std::string& path,
                                const std::vector<std::string>& names) {
  std::vector<void*> symbols;
  std::string missing;
  for (const std::string& name : names) {
    symbols.push_back(dlsym(library, name.c_str()));
    if (symbols.back() == nullptr) missing += (missing.empty() ? "" : " and ") + name;
  }
  if (!missing.empty()) {
    throw Error(ErrorKind::kDelegate, path + " is no external delegate: it lacks " + missing);
  }
  return symbols;
}

}  // namespace litedelegates
