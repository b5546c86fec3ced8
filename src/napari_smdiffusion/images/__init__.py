"""Images with their pixel size: reading, writing, patches, tiles and registration."""
