"""What every other room needs and what knows nothing of images: settings, events, errors, devices, files."""
