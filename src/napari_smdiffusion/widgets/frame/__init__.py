"""What all docks share: their frame, jobs in threads, remembered settings, Copy as Python."""
