"""What the paper claims, measured anew."""
