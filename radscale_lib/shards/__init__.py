"""Shards: Parquet files of images with texts and labels, written once, read in any order."""
