"""Embeddings of any folder of images by any encoder, without a study."""
