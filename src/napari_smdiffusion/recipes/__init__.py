"""What a person asks for, once: each job is used by the command, the dock and Python."""
