"""One session, from its first line to its last octet: the straight line that everything else serves."""
