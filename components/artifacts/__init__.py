"""The formats that one pipeline step writes and another reads, one module each."""
