"""A painting session as a document that commands of a page change: durable, then answered."""
