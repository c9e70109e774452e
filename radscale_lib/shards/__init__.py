"""Shards: Parquet files of images with texts and labels, written once and read in any order."""
