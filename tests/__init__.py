"""The tests of the project; run them with pytest from the root of the repository."""
