-- SMPP: each part of a message has an id and receipts of its own, which may come before the answer to its submission, twice, or on
-- another node. Programs that know step 8 only go on as before; they speak no SMPP.
-- oldest program: 1

-- step: transaction
create table message_parts (
    batch_no integer not null,
    row_number integer not null,
    attempt smallint not null,
    -- From 1 to `parts`.
    part smallint not null,
    parts smallint not null,
    -- As the answer to its submission gave it, in the form that receipts are compared in; null where there was no answer.
    provider_id text,
    -- As of `attempts`: 3 sent, 4 sent_to_telco, 5 success, 6 failure. They only move up.
    status smallint not null default 3 check (status between 3 and 6),
    error text,
    raw_code text,
    -- When its last news happened.
    at timestamptz,
    added_at timestamptz not null default now(),
    primary key (batch_no, row_number, attempt, part)
) with (fillfactor = 70);
-- An aggregator may give an id again after some days: the newest part has it.
create index message_parts_of_id on message_parts (provider_id) where provider_id is not null;
-- Those of a transaction have one time, of which such an index keeps one copy. A brin one would be of no use after the first deletions.
create index message_parts_by_time on message_parts (added_at);

-- Receipts that are acknowledged and not yet matched with a part: they wait for a moment, or for an answer that never comes.
create table part_receipts (
    id bigint generated always as identity primary key,
    provider_id text not null,
    -- Digits, as the provider says.
    recipient text,
    status smallint not null check (status between 3 and 6),
    error text,
    raw_code text,
    at timestamptz,
    received_at timestamptz not null default now(),
    counted boolean not null default false
);
create index part_receipts_of_id on part_receipts (provider_id);
create index part_receipts_of_recipient on part_receipts (recipient);
create index part_receipts_by_time on part_receipts (received_at);
