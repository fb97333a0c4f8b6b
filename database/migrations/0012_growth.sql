-- Indexes by which lists find their pages in tables that have grown for years. Programs that know step 11 only go on as before.
-- oldest program: 1

-- step: transaction
-- As `upload_status` says it, of columns, so that an index can hold it.
create function upload_word(
    status text, attempts integer, withdrawn_at timestamptz, checked_at timestamptz, has_check boolean
)
returns text language sql immutable parallel safe
return case
    when withdrawn_at is not null then 'withdrawn'
    when checked_at is null then status
    when has_check then 'checked'
    when attempts > 0 then 'validating'
    else 'received'
end;

-- step: alone
create index concurrently campaigns_by_time on campaigns (created_at desc, id desc)

-- step: alone
create index concurrently campaigns_by_words on campaigns using gin (to_tsvector('simple', name))

-- step: alone
create index concurrently campaigns_by_beginning on campaigns (id text_pattern_ops)

-- step: alone
create index concurrently campaigns_internal on campaigns (id) where channel = 'internal'

-- step: alone
create index concurrently uploads_by_word
on uploads (upload_word(status, attempts, withdrawn_at, checked_at, checked is not null), received_at desc, id desc)

-- step: alone
create index concurrently uploads_with_original on uploads (received_at) where object_key is not null
