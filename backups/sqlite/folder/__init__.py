"""The folder of the database: the names in it, temporary files, who may use them."""
