//! Keys, certificates, signed statements, sealing and TLS configurations.
