//! Process plumbing: configuration, logs, tasks, drain, admin port, readiness, build information.
