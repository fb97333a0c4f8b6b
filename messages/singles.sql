-- name: create_singles
-- Keys are taken in order, so that no two nodes wait for each other. A key that is older than it is kept for is as good as none.
-- An id may be there already where it isn't known whether a statement before this one was committed.
with asked as materialized (
    select * from unnest(
        $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::smallint[], $8::text[], $9::text[], $10::bytea[],
        $11::bytea[], $14::text[]
    ) a (id, campaign_id, frame, recipient, language, "values", segments, encoding, key, fingerprint, answer, creator_id)
), taken as (
    insert into idempotency_keys as k (campaign_id, key, fingerprint, status, answer)
    select campaign_id, key, fingerprint, 201, answer from asked where key is not null order by campaign_id, key
    on conflict (campaign_id, key) do update
    set made_at = excluded.made_at, fingerprint = excluded.fingerprint, upload_id = null, status = excluded.status,
        answer = excluded.answer
    where k.made_at <= now() - $13::interval
    returning campaign_id, key
), made as (
    insert into batches (id, campaign_id, kind, original_file_name, total_messages, frame, created_at, creator_id)
    select id, campaign_id, 'single', '', 1, frame::jsonb, $12, creator_id
    from asked where key is null or (campaign_id, key) in (select campaign_id, key from taken)
    on conflict (id) do nothing
    returning id, batch_no
), written as (
    insert into messages (batch_no, row_number, recipient, language, "values", segments, encoding, created_at)
    select batch_no, 1, recipient, language, "values"::jsonb, segments, encoding, $12 from made join asked using (id)
)
select id from made

-- name: create_single_of_user
-- One that a user sends by a page: a form's id is its key.
with made as (
    insert into batches (id, campaign_id, kind, original_file_name, total_messages, frame, created_at, creator_id)
    values ($1, $2, 'single', '', 1, $3::jsonb, $9, $10)
    returning batch_no
)
insert into messages (batch_no, row_number, recipient, language, "values", segments, encoding, created_at)
select batch_no, 1, $4, $5, $6::jsonb, $7, $8, $9 from made

-- name: find_created
select id, created_at from batches where id = any($1)

-- name: announce_singles
-- Outside of their transaction, since those that notify are committed one after the other.
select pg_notify('sftp_gateway_batches', '')
