"""What an authenticated user may do. Pure functions of facts."""
