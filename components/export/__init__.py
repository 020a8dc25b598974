"""Export trained models to other formats, and upload them to the Hub."""
