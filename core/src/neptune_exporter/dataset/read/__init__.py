"""Reading runs and parts, ours and those of other tools."""
