-- Whether a group of outcomes was recorded, after a connection broke, was told by its transaction's number alone, which PostgreSQL
-- may give to another transaction after a crash. Programs that know step 9 only go on as before.
-- oldest program: 1

-- step: transaction
-- A process has one row, which is written with each group that it records.
create table outcome_groups (
    process uuid primary key,
    number bigint not null,
    recorded_at timestamptz not null default now()
) with (fillfactor = 50);
