#pragma once

#include "parse.h"

namespace litedelegates::model {

// Gives tensors inside the graph the types that the runtime will give them. Many operators set the type of
// their output from an input, whatever the file says, and converters have left other types there.
void settle_types(Parsed& parsed);

}  // namespace litedelegates::model
