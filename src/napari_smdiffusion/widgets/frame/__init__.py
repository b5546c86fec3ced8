"""Parts that all docks share: their frame, runs in threads, remembered settings, Copy as Python."""
