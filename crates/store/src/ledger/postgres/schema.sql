-- Nothing here is logged ahead of being written: after a crash of the server the tables are empty, and so they are on a
-- standby that takes over. Durable sums are then told again from the journal's own ledger, which is logged; what was only
-- held or flowing is forgotten. In return a reservation waits for no disk.
-- https://www.postgresql.org/docs/current/sql-createtable.html#SQL-CREATETABLE-UNLOGGED
CREATE SCHEMA IF NOT EXISTS tollgate_ledger;

CREATE TABLE IF NOT EXISTS tollgate_ledger.version (version integer NOT NULL);

-- A row for each bucket, which is locked by whoever counts in it.
CREATE UNLOGGED TABLE IF NOT EXISTS tollgate_ledger.buckets (
    bucket uuid PRIMARY KEY,
    -- When the database's sums were last told.
    told_us bigint NOT NULL DEFAULT 0,
    arrival_us bigint NOT NULL DEFAULT 0,
    keep_us bigint NOT NULL
) WITH (fillfactor = 50);

-- What was settled.
CREATE UNLOGGED TABLE IF NOT EXISTS tollgate_ledger.counters (
    bucket uuid,
    slot_us bigint,
    amount bigint NOT NULL,
    ends_us bigint NOT NULL,
    PRIMARY KEY (bucket, slot_us)
) WITH (fillfactor = 50);

-- What is held.
CREATE UNLOGGED TABLE IF NOT EXISTS tollgate_ledger.holds (
    bucket uuid,
    ends_us bigint,
    amount bigint NOT NULL,
    PRIMARY KEY (bucket, ends_us)
) WITH (fillfactor = 50);

-- Settlements that have been taken in, so that none is twice.
CREATE UNLOGGED TABLE IF NOT EXISTS tollgate_ledger.batches (
    batch uuid PRIMARY KEY,
    taken timestamptz NOT NULL DEFAULT now()
);

CREATE UNLOGGED TABLE IF NOT EXISTS tollgate_ledger.replicas (
    replica uuid PRIMARY KEY,
    seen timestamptz NOT NULL
);

-- Locks buckets in the order of their names, so that nobody waits for each other, and makes those that are missing. In this
-- language the plan is kept from call to call.
CREATE OR REPLACE FUNCTION tollgate_ledger.lock_buckets(p_buckets uuid[], p_keeps bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tollgate_ledger.buckets AS known (bucket, keep_us)
    SELECT wanted.bucket, max(wanted.keep_us) FROM unnest(p_buckets, p_keeps) AS wanted (bucket, keep_us)
    GROUP BY wanted.bucket ORDER BY wanted.bucket
    ON CONFLICT (bucket) DO UPDATE SET keep_us = greatest(known.keep_us, excluded.keep_us);
END
$$;

-- Grants all claims of each call, or none; calls in their order. Kinds: 0 window, 1 places, 2 rate, of which limits and
-- amounts are times, and since is the longest wait. Answers a row for each claim, in their order.
CREATE OR REPLACE FUNCTION tollgate_ledger.reserve(
    p_look boolean, p_calls bigint[], p_buckets uuid[], p_kinds bigint[], p_shadows boolean[], p_durables boolean[],
    p_limits bigint[], p_amounts bigint[], p_since bigint[], p_hold_ends bigint[], p_keeps bigint[], p_nows bigint[]
) RETURNS TABLE (is_known boolean, settled bigint, held bigint, arrival bigint, slots bigint[])
LANGUAGE plpgsql AS $$
DECLARE
    most CONSTANT numeric := 9223372036854775807;
    claims CONSTANT integer := cardinality(p_calls);
    first_claim integer := 1;
    last_claim integer;
    granted boolean;
    fits boolean;
    charged boolean[];
    settled_sum numeric;
    held_sum numeric;
BEGIN
    IF NOT p_look THEN
        PERFORM tollgate_ledger.lock_buckets(p_buckets, p_keeps);
    END IF;
    WHILE first_claim <= claims LOOP
        granted := NOT p_look;
        last_claim := first_claim;
        WHILE last_claim < claims AND p_calls[last_claim + 1] = p_calls[first_claim] LOOP
            last_claim := last_claim + 1;
        END LOOP;
        FOR i IN first_claim..last_claim LOOP
            SELECT b.told_us > 0, b.arrival_us INTO is_known, arrival
            FROM tollgate_ledger.buckets b WHERE b.bucket = p_buckets[i];
            is_known := coalesce(is_known, false);
            arrival := coalesce(arrival, 0);
            settled := 0;
            held := 0;
            slots := NULL;
            IF p_kinds[i] = 2 THEN
                fits := greatest(arrival, p_nows[i]) + p_amounts[i] - p_nows[i] - p_limits[i] <= p_since[i];
            ELSE
                settled_sum := 0;
                IF p_kinds[i] = 0 THEN
                    SELECT coalesce(sum(c.amount), 0) INTO settled_sum
                    FROM tollgate_ledger.counters c
                    WHERE c.bucket = p_buckets[i] AND c.slot_us >= p_since[i];
                END IF;
                SELECT coalesce(sum(h.amount), 0) INTO held_sum
                FROM tollgate_ledger.holds h WHERE h.bucket = p_buckets[i] AND h.ends_us > p_nows[i];
                fits := settled_sum + held_sum + p_amounts[i] <= p_limits[i];
                settled := least(settled_sum, most);
                held := least(held_sum, most);
                IF NOT fits AND p_kinds[i] = 0 THEN
                    SELECT array_agg(slot.word ORDER BY c.slot_us, slot.at) INTO slots
                    FROM tollgate_ledger.counters c,
                        LATERAL unnest(ARRAY[c.slot_us, c.amount]) WITH ORDINALITY AS slot (word, at)
                    WHERE c.bucket = p_buckets[i] AND c.slot_us >= p_since[i];
                END IF;
            END IF;
            charged[i] := fits OR p_kinds[i] < 2;
            IF (NOT fits AND NOT p_shadows[i]) OR (p_durables[i] AND NOT is_known) THEN
                granted := false;
            END IF;
            RETURN NEXT;
        END LOOP;
        IF granted THEN
            FOR i IN first_claim..last_claim LOOP
                IF p_kinds[i] = 2 AND charged[i] THEN
                    UPDATE tollgate_ledger.buckets b
                    SET arrival_us = greatest(b.arrival_us, p_nows[i]) + p_amounts[i]
                    WHERE b.bucket = p_buckets[i];
                ELSIF p_kinds[i] < 2 AND p_amounts[i] > 0 THEN
                    INSERT INTO tollgate_ledger.holds AS h (bucket, ends_us, amount)
                    VALUES (p_buckets[i], p_hold_ends[i], p_amounts[i])
                    ON CONFLICT (bucket, ends_us) DO UPDATE
                    SET amount = least(h.amount::numeric + excluded.amount, most);
                END IF;
            END LOOP;
        END IF;
        first_claim := last_claim + 1;
    END LOOP;
END
$$;

-- Settles a batch, unless it has been taken in before. A bucket that was told the database's sums after they held a posting
-- has it already. Of a rate, claimed is the change of the arrival, and actual the
-- latest arrival that it may lead to.
CREATE OR REPLACE FUNCTION tollgate_ledger.settle(
    p_batch uuid, p_buckets uuid[], p_kinds bigint[], p_hold_ends bigint[], p_claimed bigint[], p_slots bigint[],
    p_slot_ends bigint[], p_actuals bigint[], p_keeps bigint[], p_nows bigint[], p_known bigint[]
) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    most CONSTANT numeric := 9223372036854775807;
BEGIN
    INSERT INTO tollgate_ledger.batches (batch) VALUES (p_batch) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM tollgate_ledger.lock_buckets(p_buckets, p_keeps);
    FOR i IN 1..cardinality(p_buckets) LOOP
        IF p_kinds[i] = 2 THEN
            UPDATE tollgate_ledger.buckets b
            SET arrival_us = CASE
                WHEN p_claimed[i] > 0
                THEN least(b.arrival_us + p_claimed[i], greatest(b.arrival_us, p_actuals[i]))
                ELSE greatest(b.arrival_us + p_claimed[i], 0)
            END
            WHERE b.bucket = p_buckets[i];
            CONTINUE;
        END IF;
        IF p_hold_ends[i] > p_nows[i] AND p_claimed[i] > 0 THEN
            UPDATE tollgate_ledger.holds h SET amount = greatest(h.amount - p_claimed[i], 0)
            WHERE h.bucket = p_buckets[i] AND h.ends_us = p_hold_ends[i];
        END IF;
        IF p_kinds[i] = 0 AND p_actuals[i] > 0 AND p_slot_ends[i] > p_nows[i] AND NOT EXISTS (
            SELECT FROM tollgate_ledger.buckets b WHERE b.bucket = p_buckets[i] AND b.told_us >= p_known[i]
        ) THEN
            INSERT INTO tollgate_ledger.counters AS c (bucket, slot_us, amount, ends_us)
            VALUES (p_buckets[i], p_slots[i], p_actuals[i], p_slot_ends[i])
            ON CONFLICT (bucket, slot_us) DO UPDATE SET
                amount = least(c.amount::numeric + excluded.amount, most),
                ends_us = greatest(c.ends_us, excluded.ends_us);
        END IF;
    END LOOP;
    RETURN true;
END
$$;

-- What slots hold becomes at least so much, and their buckets are known.
CREATE OR REPLACE FUNCTION tollgate_ledger.raise_to(
    p_now bigint, p_buckets uuid[], p_slots bigint[], p_amounts bigint[], p_ends bigint[]
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tollgate_ledger.lock_buckets(p_buckets, p_ends);
    UPDATE tollgate_ledger.buckets b SET told_us = greatest(b.told_us, p_now, 1) WHERE b.bucket = ANY (p_buckets);
    INSERT INTO tollgate_ledger.counters AS c (bucket, slot_us, amount, ends_us)
    SELECT bucket, slot_us, max(amount), max(ends_us)
    FROM unnest(p_buckets, p_slots, p_amounts, p_ends) AS known (bucket, slot_us, amount, ends_us)
    WHERE amount > 0 GROUP BY bucket, slot_us
    ON CONFLICT (bucket, slot_us) DO UPDATE SET
        amount = greatest(c.amount, excluded.amount),
        ends_us = greatest(c.ends_us, excluded.ends_us);
END
$$;

-- Removes what nothing counts any more, somewhat late, since replicas' clocks differ.
CREATE OR REPLACE FUNCTION tollgate_ledger.sweep(p_before_us bigint) RETURNS void
LANGUAGE sql AS $$
    DELETE FROM tollgate_ledger.holds WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM tollgate_ledger.holds WHERE ends_us < p_before_us FOR UPDATE SKIP LOCKED LIMIT 10000));
    DELETE FROM tollgate_ledger.counters WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM tollgate_ledger.counters WHERE ends_us < p_before_us FOR UPDATE SKIP LOCKED LIMIT 10000));
    DELETE FROM tollgate_ledger.buckets WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM tollgate_ledger.buckets WHERE keep_us < p_before_us FOR UPDATE SKIP LOCKED LIMIT 10000));
    DELETE FROM tollgate_ledger.batches WHERE taken < now() - interval '1 hour';
    DELETE FROM tollgate_ledger.replicas WHERE seen < now() - interval '1 hour';
$$;

-- A replica says that it is alive, and hears how many are.
CREATE OR REPLACE FUNCTION tollgate_ledger.beat(p_replica uuid, p_silence_ms bigint) RETURNS bigint
LANGUAGE sql AS $$
    INSERT INTO tollgate_ledger.replicas (replica, seen) VALUES (p_replica, now())
    ON CONFLICT (replica) DO UPDATE SET seen = excluded.seen;
    SELECT count(*) FROM tollgate_ledger.replicas WHERE seen > now() - p_silence_ms * interval '1 millisecond';
$$;
