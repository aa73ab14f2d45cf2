// What the runtime writes to the terminal while it works, caught so that it can be logged or put into an
// exception. The runtime has no other way out for these lines.
#pragma once

#include <string>
#include <vector>

namespace litedelegates {

// Catches standard output (the GPU library writes there too) and standard error of the whole process while it
// exists, one at a time. Lines that are not the runtime's (another thread may have written them) are passed
// on when it ends.
class Chatter {
 public:
  // `lines` receives what the runtime wrote; it must outlive this object.
  explicit Chatter(std::vector<std::string>& lines);
  ~Chatter();
  Chatter(const Chatter&) = delete;
  Chatter& operator=(const Chatter&) = delete;

  // Stop catching now; the lines are there afterwards.
  void end();

 private:
  // One descriptor that is turned into a file in memory.
  struct Stream {
    int descriptor;
    int original = -1, caught = -1;
    [[nodiscard]] bool begin();
    [[nodiscard]] std::string end();
  };

  std::vector<std::string>& lines_;
  Stream output_{1}, error_{2};
  bool is_catching_ = false;
};

// What an accelerator library logged as an error, from `first` on: each with the lines that continue it, and
// without the place in its sources. The GPU's library reports this way what its driver refuses, and goes on
// with garbage; its status says ok.
[[nodiscard]] std::string accelerator_errors(const std::vector<std::string>& lines, size_t first = 0);

}  // namespace litedelegates
