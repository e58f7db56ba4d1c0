"""Writing runs: sorted parts, files, and the receipt that makes them visible."""
