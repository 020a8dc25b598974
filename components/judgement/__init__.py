"""Judge a training from its scores, its log and its settings, and advise what to try next."""
