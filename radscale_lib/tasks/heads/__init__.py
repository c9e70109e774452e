"""Heads for classification, one module each: logits of images from a frozen encoder."""
