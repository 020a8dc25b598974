"""What every HTML page shares: type and colours, charts, tables, and how numbers are written."""
