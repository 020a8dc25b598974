"""The commands' work on this machine, except running pipelines."""
