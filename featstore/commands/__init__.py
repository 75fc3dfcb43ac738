"""The commands over text and stores, one module a group: a command parses, calls the library once and renders."""
