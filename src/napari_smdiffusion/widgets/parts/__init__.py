"""Parts of the forms: fields, pickers of layers and models, the loss plot."""
