"""Encoders: image and text towers, their files, and how images are prepared for them."""
