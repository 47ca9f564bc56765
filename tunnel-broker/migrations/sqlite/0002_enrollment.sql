-- Enrollment tokens. `kind` is a value of v1.TokenKind; what has not happened yet is NULL.
CREATE TABLE tokens (
    id            TEXT   NOT NULL PRIMARY KEY,
    kind          BIGINT NOT NULL,
    cluster       TEXT   NOT NULL,
    label         TEXT   NOT NULL,
    secret_sha256 BLOB   NOT NULL,
    expires_ms    BIGINT NOT NULL,
    created_by    TEXT   NOT NULL,
    created_ms    BIGINT NOT NULL,
    revoked_ms    BIGINT,
    redeemed_ms   BIGINT,
    redeemed_key  BLOB,
    replica       TEXT,
    confirmed_ms  BIGINT
);
CREATE INDEX tokens_by_label ON tokens (label);
CREATE INDEX tokens_by_end ON tokens (expires_ms);

-- What clusters say of their own keys: redeemed with a token, or sent over a tunnel to replace keys (empty token).
CREATE TABLE registrations (
    label       TEXT   NOT NULL,
    token       TEXT   NOT NULL,
    cluster_key BLOB   NOT NULL,
    sealing_key BLOB   NOT NULL,
    envelope    BLOB   NOT NULL,
    mac         BLOB   NOT NULL,
    received_ms BIGINT NOT NULL,
    PRIMARY KEY (label, token, cluster_key)
);
CREATE INDEX registrations_by_token ON registrations (token);

-- Replicas that hold or held a certificate. The key is unknown where the certificate was not issued here.
CREATE TABLE replicas (
    label        TEXT   NOT NULL,
    id           TEXT   NOT NULL,
    public_key   BLOB,
    not_after_ms BIGINT NOT NULL,
    last_seen_ms BIGINT NOT NULL,
    PRIMARY KEY (label, id)
);
CREATE INDEX replicas_by_key ON replicas (label, public_key);
CREATE INDEX replicas_by_end ON replicas (not_after_ms);

-- An empty replica stands for the whole cluster.
CREATE TABLE bans (
    label     TEXT   NOT NULL,
    replica   TEXT   NOT NULL,
    reason    TEXT   NOT NULL,
    banned_by TEXT   NOT NULL,
    banned_ms BIGINT NOT NULL,
    PRIMARY KEY (label, replica)
);

-- One row: the phase of the mesh rotation, a value of v1.RotationPhase.
CREATE TABLE rotation (
    id         BIGINT NOT NULL PRIMARY KEY,
    phase      BIGINT NOT NULL,
    changed_ms BIGINT NOT NULL
);

-- The newest acknowledgement of each replica.
CREATE TABLE acknowledgements (
    label       TEXT   NOT NULL,
    replica     TEXT   NOT NULL,
    envelope    BLOB   NOT NULL,
    received_ms BIGINT NOT NULL,
    PRIMARY KEY (label, replica)
);
