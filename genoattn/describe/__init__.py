"""What is in a file, told in words or as JSON."""
