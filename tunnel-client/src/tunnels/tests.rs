//! Tunnels against a real transport listener on loopback.
