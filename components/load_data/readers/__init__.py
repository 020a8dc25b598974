"""Reading data: what a location stands for, and the rows of every kind of file found there."""
