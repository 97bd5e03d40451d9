-- What was answered to requests that may come again.
CREATE TABLE answers (
    caller UUID NOT NULL,
    name TEXT NOT NULL,
    request BYTEA NOT NULL,
    status BIGINT NOT NULL,
    body TEXT NOT NULL,
    at_us BIGINT NOT NULL,
    PRIMARY KEY (caller, name)
);
CREATE INDEX answers_by_time ON answers (at_us);
