"""What turns frames into text: a table of functions and their settings."""
