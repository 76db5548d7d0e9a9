"""Files on disk and objects on Cloud Storage: what ``lake.Write`` and ``storage.Write`` share."""
