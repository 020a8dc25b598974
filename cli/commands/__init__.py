"""The commands, one file each: options, help, and the call that does the work."""
