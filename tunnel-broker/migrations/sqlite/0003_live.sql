-- One row: the trust bundle that was put into force while the broker ran, and the vendor key that signed it.
CREATE TABLE trust_bundles (
    id           BIGINT NOT NULL PRIMARY KEY,
    envelope     BLOB   NOT NULL,
    signer       BLOB   NOT NULL,
    published_ms BIGINT NOT NULL
);

-- Inventory entries that were published through the API, beside those of the folder.
CREATE TABLE entries (
    cluster      TEXT   NOT NULL PRIMARY KEY,
    envelope     BLOB   NOT NULL,
    published_ms BIGINT NOT NULL
);
