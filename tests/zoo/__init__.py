"""Models of many architectures, and what became of each beside the official Interpreter."""
