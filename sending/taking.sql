-- name: insert_lanes
-- The campaigns of internal channels have a sender once they have an account; `$1` names the one for those that need none.
insert into lanes (sender_id, campaign_id, priority)
select distinct s.id, b.campaign_id, case when b.kind = 'batch' then 2 when c.otp then 0 else 1 end
from batches b
join campaigns c on c.id = b.campaign_id
left join twilio_accounts t on t.campaign_id = c.id
join senders s on s.name = case when c.channel = 'public' then 'public' else coalesce(t.service_sid, $1) end
-- All that wait are looked at, as those that wait for an account, however many, must not hide what comes after them.
where b.taken_at is null and not exists (
    select from lanes l
    where l.campaign_id = b.campaign_id and l.priority = case when b.kind = 'batch' then 2 when c.otp then 0 else 1 end
)
on conflict do nothing

-- name: fetch_unframed
select b.batch_no, c.header
from batches b join campaigns c on c.id = b.campaign_id
where b.taken_at is null and b.frame is null
order by b.batch_no
limit $1

-- name: record_frames
update batches set frame = f.frame
from unnest($1::integer[], $2::jsonb[]) f (batch_no, frame)
where batches.batch_no = f.batch_no and batches.frame is null

-- name: take_batches
update batches b
set taken_at = now(), lane_id = l.id, waiting = b.held_since is null and b.ended_at is null
from lanes l join campaigns c on c.id = l.campaign_id
where l.campaign_id = b.campaign_id
    and l.priority = case when b.kind = 'batch' then 2 when c.otp then 0 else 1 end
    and b.frame is not null
    and b.batch_no in (
        select u.batch_no from batches u
        where u.taken_at is null
            and exists (select from lanes k where k.campaign_id = u.campaign_id)
        order by u.batch_no limit $1 for no key update skip locked
    )
returning b.batch_no, b.kind
