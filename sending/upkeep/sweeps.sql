-- name: hold_stale
-- What could not begin in time: nobody took it up, or its sender was paused. Claims hold those that they meet.
update batches b set held_since = $1, held_because = 'stale', waiting = false
from (
    select batch_no from batches
    where finished_at is null and cursor_row = 0 and held_since is null and released_at is null and ended_at is null
        and (waiting or taken_at is null) and created_at <= $1::timestamptz - make_interval(secs => $2::double precision)
    order by batch_no
    for no key update skip locked
) t
where b.batch_no = t.batch_no
returning b.id

-- name: end_never_left
-- What began, or was released, and hasn't all left in time.
update batches b set ended_at = $1, ended_because = 'expired', waiting = false
from (
    select b.batch_no
    from batches b join lanes l on l.id = b.lane_id join senders s on s.id = l.sender_id
        join campaigns c on c.id = b.campaign_id
    where b.waiting and c.status = 'active' and s.provider <> 'loadtest'
        and greatest(b.created_at, b.released_at) <= $1::timestamptz - make_interval(secs => $2::double precision)
    order by b.batch_no
    for no key update of b skip locked
) t
where b.batch_no = t.batch_no
returning b.id

-- name: fetch_never_left
select d.batch_no, d.row_number, d.attempt
from batches b join campaigns c on c.id = b.campaign_id join lanes l on l.id = b.lane_id join senders s on s.id = l.sender_id
join due d on d.batch_no = b.batch_no
cross join lateral (
    select status, created_at from attempts
    where batch_no = d.batch_no and row_number = d.row_number and attempt = d.attempt offset 0
) a
where b.finished_at is null and b.retrying + b.enqueued > 0 and c.status = 'active' and s.provider <> 'loadtest'
    and (b.held_since is null or b.released_at is not null)
    and greatest(b.created_at, b.released_at) <= $1::timestamptz - make_interval(secs => $2::double precision)
    and d.class < 3 and a.status in (0, 1) and a.created_at <= $1 - make_interval(secs => $2)
order by d.batch_no, d.row_number, d.attempt
limit $3

-- name: fetch_batches_of_deleted
select b.id, b.batch_no
from batches b join campaigns c on c.id = b.campaign_id
where c.status = 'deleted' and b.finished_at is null and b.batch_no > $2 and (
    b.retrying + b.enqueued > 0
    or (b.ended_at is null
        and b.total_messages > b.sending + b.sent + b.sent_to_telco + b.success + b.failure)
)
order by b.batch_no
limit $1

-- name: follow_lanes
-- A put-back that was being recorded while its campaign's messaging service changed still has the sender of before, which has no lane
-- for it any more. What a claim holds just now is left for the next sweep.
with recursive held as (
    -- Of whom there is any: a row for each campaign, not for each attempt.
    (select sender_id, class, campaign_id from due order by sender_id, class, campaign_id limit 1)
    union all
    select n.* from held h
    cross join lateral (
        select sender_id, class, campaign_id from due
        where (sender_id, class, campaign_id) > (h.sender_id, h.class, h.campaign_id)
        order by sender_id, class, campaign_id limit 1
    ) n
), elsewhere as (
    select h.sender_id, h.class, h.campaign_id, l.sender_id as new_sender
    from held h
    -- Look-ups, whose class is 3: all lanes of a campaign have one sender.
    cross join lateral (
        select sender_id from lanes
        where campaign_id = h.campaign_id and (priority = h.class or h.class = 3)
        order by priority limit 1
    ) l
    where l.sender_id <> h.sender_id
)
update due d set sender_id = e.new_sender
from (
    select d.batch_no, d.row_number, d.attempt, w.new_sender
    from elsewhere w join due d on d.sender_id = w.sender_id and d.class = w.class and d.campaign_id = w.campaign_id
    for update of d skip locked
) e
where d.batch_no = e.batch_no and d.row_number = e.row_number and d.attempt = e.attempt
