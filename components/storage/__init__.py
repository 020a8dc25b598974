"""Files on this disk, in object stores, on the web and on the Hub: one way to reach them all."""
