-- Sealed requests on their way to clusters. Times are Unix milliseconds; `status` is a value of operators.v1.Delivery.
CREATE TABLE requests (
    envelope_id  BLOB   NOT NULL PRIMARY KEY,
    label        TEXT   NOT NULL,
    submitter    TEXT   NOT NULL,
    sealed       BLOB   NOT NULL,
    status       BIGINT NOT NULL,
    submitted_ms BIGINT NOT NULL,
    lapses_ms    BIGINT NOT NULL
);
CREATE INDEX requests_by_label ON requests (label, submitted_ms);
CREATE INDEX requests_by_submitter ON requests (submitter);
CREATE INDEX requests_by_end ON requests (lapses_ms);

-- Sealed outcomes, at most 8 per request, in their order of arrival.
CREATE TABLE outcomes (
    envelope_id BLOB   NOT NULL,
    sha256      BLOB   NOT NULL,
    arrival     BIGINT NOT NULL,
    sealed      BLOB   NOT NULL,
    PRIMARY KEY (envelope_id, sha256)
);
CREATE UNIQUE INDEX outcomes_in_order ON outcomes (envelope_id, arrival);
