"""The review document: clusters, names and answers, and the commands that change them."""
