"""What happens after the fork."""
