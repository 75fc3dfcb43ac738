"""classifier: store and labels to relations. Never imports an encoder, h5py or zarr."""
