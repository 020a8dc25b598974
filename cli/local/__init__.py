"""What the command does in a process of this machine, beside runs."""
