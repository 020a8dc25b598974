"""One interface to files on this disk, in object stores, on the web and on the Hub."""
