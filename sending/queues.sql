-- name: fetch_queues
-- What waits at each sender, by its batches' counts. A held batch, one that has ended and one of a suspended or deleted campaign
-- don't wait to leave. What is put back, or to be retried, waits too.
select s.name, s.provider, s.rate,
    -- A pause whose end has come is lifted by the next claim only.
    case when s.paused_until is null or s.paused_until > now() then s.paused_since end as paused_since,
    case when s.paused_until is null or s.paused_until > now() then s.paused_because end as paused_because,
    coalesce(w.waiting, 0) as waiting, coalesce(w.under_way, 0) as under_way, w.oldest_waiting_at
from senders s
left join (
    select sender_id, sum(waiting) as waiting, sum(under_way) as under_way,
        min(created_at) filter (where waiting > 0) as oldest_waiting_at
    from (
        select l.sender_id, b.created_at, b.sending + b.sent + b.sent_to_telco as under_way,
            case when c.status = 'active' and b.ended_at is null then
                b.retrying + b.enqueued + case when b.waiting then
                    b.total_messages - b.retrying - b.enqueued - b.sending - b.sent - b.sent_to_telco - b.success - b.failure
                else 0 end
            else 0 end as waiting
        from batches b
        join lanes l on l.id = b.lane_id
        join campaigns c on c.id = b.campaign_id
        where b.finished_at is null
    ) unfinished
    group by sender_id
) w on w.sender_id = s.id
order by s.name

-- name: fetch_sender_of_batch
-- Where a batch leaves: by its lane, or, until the sending core has taken it up, by its campaign's channel. A lane or campaign that
-- may not send now says so.
select s.name, s.provider, s.rate, s.next_at, s.paused_since, s.paused_because, s.paused_until, s.id as sender_id,
    l.paused_since as lane_paused_since, l.paused_because as lane_paused_because, c.status as campaign_status,
    c.channel = 'internal' and t.service_sid is null as lacks_account,
    coalesce(l.priority, 2) as priority
from batches b
join campaigns c on c.id = b.campaign_id
left join lanes l on l.id = b.lane_id
left join twilio_accounts t on t.campaign_id = b.campaign_id
left join senders s on
    case
        when b.lane_id is not null then s.id = l.sender_id
        else s.name = case c.channel when 'public' then 'public' else coalesce(t.service_sid, 'internal') end
    end
where b.batch_no = $1

-- name: fetch_work_of_sender
-- The segments that wait in each lane of a sender that may send: in the lane of the batch $2 only up to that batch, as a lane's
-- batches go oldest first. Segments are judged by the first messages that wait.
select b.lane_id, l.priority, sum(ceil(w.messages * s.segments))::float8 as segments
from lanes l
join campaigns c on c.id = l.campaign_id and c.status = 'active'
join batches b on b.lane_id = l.id and b.finished_at is null and b.ended_at is null
cross join lateral (
    select b.retrying + b.enqueued + case when b.waiting then
        b.total_messages - b.retrying - b.enqueued - b.sending - b.sent - b.sent_to_telco - b.success - b.failure
    else 0 end as messages
) w
cross join lateral (
    select coalesce(avg(segments), 1) as segments
    from (
        select segments from messages where batch_no = b.batch_no and row_number > b.cursor_row order by row_number limit 20
    ) first_ones
) s
where l.sender_id = $1 and l.paused_since is null and w.messages > 0
    and (b.batch_no <= $2 or l.id <> coalesce($3, 0))
group by b.lane_id, l.priority
