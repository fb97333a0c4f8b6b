-- name: copy_messages
-- The next messages of a range's batches, from $1 on and before $2, behind the row $4 of the batch $3. Times are microseconds.
select batch_no, row_number, recipient, language, "values", segments, encoding,
    (extract(epoch from created_at) * 1000000)::bigint as created_at, batch_id, status
from messages
where batch_no >= $1 and batch_no < $2 and (batch_no, row_number) > ($3, $4)
order by batch_no, row_number
limit $5

-- name: copy_attempts
-- The attempts of the messages from the row $2 of the batch $1 to the row $4 of the batch $3.
select batch_no, row_number, attempt, status, (extract(epoch from created_at) * 1000000)::bigint as created_at,
    (extract(epoch from updated_at) * 1000000)::bigint as updated_at, (extract(epoch from sent_at) * 1000000)::bigint as sent_at,
    (extract(epoch from delivered_at) * 1000000)::bigint as delivered_at,
    (extract(epoch from claimed_at) * 1000000)::bigint as claimed_at, put_backs, may_have_arrived, expired, error, raw_code, provider_id
from attempts
where batch_no between $1 and $3 and (batch_no, row_number) >= ($1, $2) and (batch_no, row_number) <= ($3, $4)
order by batch_no, row_number, attempt

-- name: copy_audit_events
-- The next events of a range, from the id $1 on and before $2, behind the id $3. Times are microseconds.
select id, (extract(epoch from at) * 1000000)::bigint as at, event, campaign_id, upload_id, connection_id, actor, source_address, details
from audit_events
where id >= $1 and id < $2 and id > $3
order by id
limit $4
