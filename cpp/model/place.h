#pragma once

#include <cstddef>
#include <string>

#include "verify.h"

namespace litedelegates::model {

// Runs `body` and adds to the message of an InvalidModel where it happened: "tensor 12 of subgraph 0: ...".
// The text is only made when it is needed.
template <class Body>
void in_place(const char* what, std::size_t index, const char* owner, std::size_t owner_index,
              const Body& body) {
  try {
    body();
  } catch (const InvalidModel& error) {
    throw InvalidModel(std::string(what) + " " + std::to_string(index) + " of " + owner + " " +
                       std::to_string(owner_index) + ": " + error.what());
  }
}

template <class Body>
void in_place(const char* what, std::size_t index, const Body& body) {
  try {
    body();
  } catch (const InvalidModel& error) {
    throw InvalidModel(std::string(what) + " " + std::to_string(index) + ": " + error.what());
  }
}

}  // namespace litedelegates::model
