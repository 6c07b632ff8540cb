"""Who the client is: the methods, and the servers that are asked."""
