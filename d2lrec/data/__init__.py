"""From files of ratings to batches: reading, ids, splits, negative samples."""
