// Opens the shared library of a delegate, and says precisely why it cannot be opened.
#pragma once

#include <string>
#include <vector>

namespace litedelegates {

// The library of the delegate at `path`, opened for good: delegates start threads and install exit handlers
// that outlive them. All its symbols are bound at once, so that a missing one is an error here and not the
// end of the process later. A path without a slash is looked for as the system's loader does.
void* open_delegate_library(const std::string& path);

// The addresses of `names` in an opened library; raises with all that are missing.
std::vector<void*> find_symbols(void* library, const std::string& path,
                                const std::vector<std::string>& names);

}  // namespace litedelegates
