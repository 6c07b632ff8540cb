"""The three mail protocols, sans-IO: octets and decisions in, octets and events out. No socket, no clock, no log."""
