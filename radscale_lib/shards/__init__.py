"""Shards: Parquet files of images with their texts and labels, written once and read in any order."""
