"""Assets and notifications as data: streams, storage, paths and signatures."""
