-- name: find_batch
select batch_no from batches where id = $1

-- name: find_batch_of_message
-- By the unique expression index, so that a message's id leads to its row without an index on messages. The condition on the
-- length is the index's own.
select batch_no from batches where message_id_stem(id) = $1 and length(id) = 42

-- name: list_batches
-- A single send is a batch of one row, which no list of batches shows.
select batch_no from batches
where kind = 'batch' and ($1::timestamptz is null or created_at >= $1)
    and ($3::timestamptz is null or (created_at, id) < ($3, $4::text))
order by created_at desc, id desc
limit $2

-- name: list_batches_of_campaign
-- A campaign that the planner doesn't know: it might take one with millions of single sends to have as many batches, and look for them
-- among everybody's.
select b.batch_no
from unnest(array[$5::text]) c (id)
cross join lateral (
    select batch_no, created_at, id from batches
    where kind = 'batch' and campaign_id = c.id and ($1::timestamptz is null or created_at >= $1)
        and ($3::timestamptz is null or (created_at, id) < ($3, $4::text))
    order by created_at desc, id desc
    limit $2
) b
order by b.created_at desc, b.id desc

-- name: fetch_batches
select batch_no, id, campaign_id, kind, upload_id, original_file_name, status, total_messages, created_at, frame, taken_at,
    lane_id, waiting, held_since, held_because, released_at, ended_at, ended_because, finished_at,
    array[retrying, enqueued, sending, sent, sent_to_telco, success, failure] as by_rank, errors, creator_id
from batches
where batch_no = any($1)

-- name: fetch_creators
select id, email from users where id = any($1)

-- name: fetch_messages
select k.batch_no, k.row_number, m.recipient, m.language, m."values", m.segments, m.encoding
from unnest($1::integer[], $2::integer[]) with ordinality as k (batch_no, row_number, place)
-- The limit keeps the planner at one look-up by key for each, also where it knows nothing of the table yet.
cross join lateral (
    select * from messages where batch_no = k.batch_no and row_number = k.row_number limit 1
) m
order by k.place

-- name: fetch_attempts
select a.*
from unnest($1::integer[], $2::integer[]) as k (batch_no, row_number)
cross join lateral (
    select batch_no, row_number, attempt, created_at, updated_at, sent_at, delivered_at, status, error, may_have_arrived, expired,
        raw_code, provider_id
    from attempts where batch_no = k.batch_no and row_number = k.row_number
    order by attempt desc limit 256
) a

-- name: count_failures
-- How the failures of a batch ended, by its attempts; rows that were never claimed are not among them. Only asked where the
-- batch's own counts say that there are any.
select count(*) filter (where may_have_arrived) as may_have_arrived,
    count(*) filter (where not may_have_arrived and sent_at is null) as never_left,
    count(*) filter (where not may_have_arrived and sent_at is not null) as not_delivered
from attempts a
where batch_no = $1 and status = 6
    and not exists (
        select from attempts later
        where later.batch_no = a.batch_no and later.row_number = a.row_number and later.attempt > a.attempt
    )

-- name: read_deliveries
-- A batch's messages above row $7 in the order of their rows, at most $8 of them or all, each with its last attempt. Statuses are
-- ranks; $3 is the rank of a row without an attempt. `charged`: the segments of its attempts since $5 whose outcomes are among $4, but the other
-- way round for expiries of our own in months, each with a destination, that are among $6.
select m.row_number, m.recipient, m.language, m."values", m.segments, m.encoding, coalesce(a.status, $3) as status,
    (select created_at from batches where batch_no = $1) as created_at, coalesce(a.attempt, 0) as attempt, a.sent_at, a.delivered_at, a.error,
    case when a.attempt is null or cardinality($4::text[]) = 0 then 0 else (
        select m.segments * count(*) from attempts e
        left join lateral (
            -- What it had when its month was posted counts for ever.
            select attempt, outcome, own_expiry from late_outcomes
            where batch_no = e.batch_no and row_number = e.row_number and attempt = e.attempt
        ) l on true
        cross join lateral (values (
            coalesce(e.sent_at, e.claimed_at, e.created_at), case when m.recipient like '65%' then 'local' else 'foreign' end,
            case when l.attempt is not null then l.outcome else attempt_outcome(e.status, e.error) end,
            case when l.attempt is not null then l.own_expiry else e.status = 6 and e.expired end
        )) o (moment, destination, outcome, own)
        where e.batch_no = m.batch_no and e.row_number = m.row_number and o.moment >= $5
            and ((o.destination || ' ' || o.outcome || o.own::text) = any($4))
                <> (o.own and to_char(o.moment at time zone interval '08:00', 'YYYY-MM ') || o.destination = any($6::text[]))
    ) end as charged
from messages m
left join lateral (
    select * from attempts where batch_no = m.batch_no and row_number = m.row_number order by attempt desc limit 1
) a on true
where (m.batch_no, m.row_number) > ($1::integer, $7::integer) and m.batch_no <= $1 and coalesce(a.status, $3) = any($2)
order by m.batch_no, m.row_number
limit $8
