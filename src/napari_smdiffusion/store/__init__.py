"""Models on disk: the model folder, the catalogue of models, and the model card."""
