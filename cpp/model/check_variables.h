#pragma once

#include "node.h"
#include "parse.h"

namespace litedelegates::model {

// Everything that is assigned to a variable and read from it has one type and one shape: the runtime copies
// what is there into memory of the size that the file states.
void check_variables(const Parsed& parsed);

// What is read has the shape that the file gives it.
void check_read_variable(Node& node);

}  // namespace litedelegates::model
