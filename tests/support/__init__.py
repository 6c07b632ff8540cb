"""What the tests stand on: real mail and AAA servers, a running gateway, fake upstreams, raw and real clients."""
