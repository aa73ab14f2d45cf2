// What the runtime writes to the standard error while it works, caught so that it can be logged or put into an
// exception. The runtime has no other way out for these lines.
#pragma once

#include <string>
#include <vector>

namespace litedelegates {

// Catches the standard error of the whole process while it exists, one at a time. Lines that are not the
// runtime's (another thread may have written them) are passed on when it ends.
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
  std::vector<std::string>& lines_;
  int caught_ = -1;    // a file in memory
  int original_ = -1;  // the standard error as it was
};

}  // namespace litedelegates
