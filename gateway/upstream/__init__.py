"""The way to the mail server: its name, its addresses, our login there."""
