"""The base of every HTML page: fonts and colours, charts and tables."""
