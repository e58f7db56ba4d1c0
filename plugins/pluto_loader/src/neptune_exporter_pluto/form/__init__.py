"""The form that things have in Pluto: its limits, losses, config, lines. Asks and sends nothing."""
