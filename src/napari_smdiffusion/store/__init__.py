"""Models on disk: the model folder, the catalogue of models, the card."""
