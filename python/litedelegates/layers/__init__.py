"""Layer studies: time, bytes and error of every layer, in every precision, on every delegate."""
