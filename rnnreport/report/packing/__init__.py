"""What the scripts of a page read: arrays into its payload, names and settings into its description."""
