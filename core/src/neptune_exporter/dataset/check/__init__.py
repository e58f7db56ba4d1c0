"""What a dataset holds, and whether it is whole."""
