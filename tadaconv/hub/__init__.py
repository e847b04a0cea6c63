"""Networks of others, with their weights: ``hf:NAME_OR_FOLDER`` (transformers) and
``timm:NAME_OR_FOLDER``."""
