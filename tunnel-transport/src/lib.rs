//! One tunnel, both ends: carriers, control frames, stream kinds, limits, close codes, backoff.
