"""How long the program takes, how much memory it needs, and how it compares with other programs."""
