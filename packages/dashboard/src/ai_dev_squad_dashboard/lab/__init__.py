"""A run of the lab as a table and as files, without Flask and without a store."""
