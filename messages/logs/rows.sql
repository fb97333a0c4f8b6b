-- name: list_in_days
-- The next batches that were made from $2 to $3, in their order after ($4, $5): at most $6, and of one user where $7 names one, those
-- without a creator being of the user $8.
select batch_no, id, created_at, total_messages from batches
where campaign_id = $1 and created_at >= $2 and created_at < $3 and (created_at, id) > ($4::timestamptz, $5::text)
    and ($7::text is null or coalesce(creator_id, $8) = $7)
order by created_at, id
limit $6

-- name: list_before
-- The next batches that were made before $2 and may have attempts since $3: those under way, and the few that took days to finish, as
-- after a retry. In the order of their numbers after $4.
select batch_no, id, created_at, total_messages from batches
where batch_no = any(array(
    select batch_no from (
        (select batch_no from (
            -- Read by the index of what is under way, whatever the planner thinks of the campaign's own.
            select * from batches where finished_at is null and batch_no > $4 order by batch_no offset 0
        ) u
        where campaign_id = $1 and created_at < $2 and ($6::text is null or coalesce(creator_id, $7) = $6)
        limit $5)
        union all
        (select batch_no from (
            select * from batches
            where finished_at - created_at > interval '4 days' and campaign_id = $1 and batch_no > $4
            order by batch_no offset 0
        ) l
        where created_at < $2 and finished_at >= $3 and ($6::text is null or coalesce(creator_id, $7) = $6)
        limit $5)
    ) b
    order by batch_no limit $5
))
order by batch_no

-- name: find_archive
-- An archive with a batch of the campaign, or with the batch $5, that had its end from $2 on and was made before $3: as above, those made
-- from $4 on, and those that took days.
select a.name from archives a
where a.kind = 'messages' and a.state = 'archived' and case
    when $5::integer is not null then a.begins <= $5 and a.ends > $5 and exists (
        select from batches where batch_no = $5 and finished_at >= $2::timestamptz
    )
    else a.first_at < $3::timestamptz and (
        a.last_at >= $4::timestamptz and exists (
            select from batches
            where campaign_id = $1 and created_at between greatest(a.first_at, $4) and least(a.last_at, $3)
                and batch_no >= a.begins and batch_no < a.ends and finished_at >= $2
        )
        or exists (
            select from batches
            where finished_at - created_at > interval '4 days' and campaign_id = $1 and batch_no >= a.begins and batch_no < a.ends
                and created_at < $3 and finished_at >= $2
        )
    ) end
order by a.begins limit 1

-- name: find_end
-- The last of a batch's next rows after $2, where there are more than $3 of them.
select row_number from messages
where (batch_no, row_number) > ($1::integer, $2::integer) and batch_no <= $1
order by batch_no, row_number
offset $3 - 1 limit 1

-- name: fetch_lines
-- The lines of the batches $1, of rows above $2 up to $3: attempts made from $4 to $5 whose status is one of the ranks $6 and, unless
-- $7 is null, whose error is one of these; of what has no attempt yet, one line on the day that it was made. $8: names of parameters.
-- $9: who made a batch that doesn't say so. $10: the codes of characters by which a cell begins that gets an apostrophe. $11: whether numbers are
-- masked. From $12 on outcomes are charged that are among $13, but the other way round for expiries of our own in months, each with a
-- destination, that are among $14. Text is quoted; what the program itself makes needs no quotes.
with chosen as materialized (
    select b.batch_no, b.created_at, to_char(b.created_at at time zone interval '08:00', 'YYYY-MM-DD"T"HH24:MI:SS.MS"+08:00,"') as created,
        ',message_' || substr(b.id, 7, 14) || '8' || substr(b.id, 22, 13) as message,
        ',' || b.id || ',' || case when b.original_file_name = '' then '' else
            '"' || case when ascii(b.original_file_name) = any($10::integer[]) then '''' else '' end
            || replace(b.original_file_name, '"', '""') || '"'
        end || ',' as batch,
        case when b.ended_at is not null then 6 when b.taken_at is not null then 1 else 0 end as unclaimed_status,
        case b.ended_because when 'expired' then 'server_unknown_error' else b.ended_because end as unclaimed_error,
        ',"' || case when ascii(u.email) = any($10::integer[]) then '''' else '' end || replace(u.email, '"', '""') || '",'
        || case when coalesce(k.name, '') = '' then '' else
            '"' || case when ascii(k.name) = any($10::integer[]) then '''' else '' end || replace(k.name, '"', '""') || '"'
        end || E'\r\n' as ending
    from unnest($1::integer[]) g (batch_no)
    -- Each is found by its key, here and below, whatever the planner thinks of arrays and of tables that it knows nothing of yet.
    cross join lateral (select * from batches where batch_no = g.batch_no offset 0) b
    join users u on u.id = coalesce(b.creator_id, $9)
    left join lateral (
        -- The key that its upload came with: of SFTP by its fingerprint, of the API by its public characters.
        select coalesce(s.label, a.name) as name
        from (
            select id, actor from audit_events where upload_id = b.upload_id and event = 'upload_received'
            union all
            select id, actor from kept_events where upload_id = b.upload_id and event = 'upload_received'
        ) e
        left join ssh_keys s on s.campaign_id = b.campaign_id and s.fingerprint = e.actor
        left join api_keys a on a.campaign_id = b.campaign_id and 'api key ' || a.prefix = e.actor
        where b.upload_id is not null
        order by e.id, s.id desc
        limit 1
    ) k on true
), posted as (
    select coalesce((max(month) + interval '1 month')::date::timestamp at time zone interval '08:00', '-infinity') as ends
    from billing_months
), lines as (
    select c.created_at, m.batch_no, m.row_number, a.attempt,
        c.created || coalesce(to_char(a.sent_at at time zone interval '08:00', 'YYYY-MM-DD"T"HH24:MI:SS.MS"+08:00,"'), ',')
        || coalesce(to_char(a.delivered_at at time zone interval '08:00', 'YYYY-MM-DD"T"HH24:MI:SS.MS"+08:00"'), '')
        || c.message || lpad(to_hex(m.row_number), 8, '0') || c.batch
        || case when $11 and length(m.recipient) <= 5 then repeat('•', length(m.recipient))
            when $11 then left(m.recipient, 3) || repeat('•', length(m.recipient) - 5) || right(m.recipient, 2)
            else m.recipient end
        || ',' || m.language || array_to_string(array(
            select ',"' || case when ascii(v.value) = any($10::integer[]) then '''' else '' end
                || replace(v.value, '"', '""') || '"'
            from unnest($8::text[]) n (name) cross join lateral (values (coalesce(m."values" ->> n.name, ''))) v (value)
        ), '')
        || case s.status when 0 then ',created,,,' when 1 then ',enqueued,,,' when 2 then ',sending,,,' when 3 then ',sent,,,'
            when 4 then ',sent_to_telco,,,' when 5 then ',success,,,'
            else ',failure,' || case
                when s.error in ('server_unknown_error', 'stopped') then 'server_error,' || s.error || ','
                else coalesce('delivery_error,' || s.error || ',', ',,')
            end end
        || coalesce(a.attempt, 0) || ',' || m.segments || ',' || m.encoding
        || case when a.attempt is not null and s.moment >= $12 and ((
            o.destination || ' ' || case when l.attempt is not null then l.outcome else attempt_outcome(a.status, a.error) end
            || o.own::text
        ) = any($13::text[])) <> (o.own and to_char(s.moment at time zone interval '08:00', 'YYYY-MM ') || o.destination = any($14::text[]))
        then ',yes' else ',no' end
        || c.ending as line
    from chosen c
    cross join posted
    cross join lateral (
        select * from messages where batch_no = c.batch_no and row_number > $2 and row_number <= $3 offset 0
    ) m
    left join lateral (select * from attempts where batch_no = m.batch_no and row_number = m.row_number offset 0) a on true
    cross join lateral (values (
        coalesce(a.sent_at, a.claimed_at, a.created_at, c.created_at), coalesce(a.status, c.unclaimed_status),
        case when a.attempt is null then c.unclaimed_error else a.error end
    )) s (moment, status, error)
    -- What it had when its month was posted counts for ever.
    left join lateral (
        select attempt, outcome, own_expiry from late_outcomes
        where batch_no = a.batch_no and row_number = a.row_number and attempt = a.attempt and s.moment < posted.ends offset 0
    ) l on true
    cross join lateral (values (
        case when m.recipient like '65%' then 'local' else 'foreign' end,
        case when l.attempt is not null then l.own_expiry else a.status = 6 and a.expired end
    )) o (destination, own)
    where s.moment >= $4 and s.moment < $5 and s.status = any($6) and ($7::text[] is null or (s.status = 6 and s.error = any($7)))
)
select count(*) as rows, coalesce(convert_to(string_agg(line, '' order by created_at, batch_no, row_number, attempt), 'UTF8'), '') as text
from lines
