"""Main training on many volumes, and fine-tuning on the one planning scan of a patient."""
