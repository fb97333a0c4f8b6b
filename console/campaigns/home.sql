-- name: list_campaigns
-- Of all, of the agency where the user is in charge, the user's own, or those whose member the user is: those last opened first.
-- What a campaign has sent is counted over its newest sends of seven days, at most as many as asked for, so that one with millions
-- keeps nobody waiting. Whoever sees own messages only has these counted only.
--
-- First those that the user has opened, by when; then the others by their age. Each branch walks an index and leaves when it has
-- enough: whoever sees all campaigns, those of an agency, those that the user has made, or is a member of. What is searched for are
-- words of the name as they begin, or the beginning of an id.
-- Words that are given here are looked for in one's own campaigns, few as they are, or are those of a thousand names at least. The index
-- of words, which would tell everybody's first, isn't asked, so something is added to the name there.
with opened as (
    select c.id, v.opened_at, c.created_at
    from campaign_visits v join campaigns c on c.id = v.campaign_id
    left join members m on m.campaign_id = c.id and m.user_id = $1
    where v.user_id = $1
        and ($2::boolean or ($3::text is not null and c.agency_id = $3)
            or (c.status <> 'deleted' and (c.creator_id = $1 or m.role is not null)))
        and ($4::text is null or to_tsvector('simple', c.name) @@ to_tsquery('simple', $4) or c.id like $10)
        and ($11::text[] is null or c.id = any($11))
        and ($5::text is null or (v.opened_at, c.created_at, c.id) < ($6::timestamptz, $7::timestamptz, $5))
    order by v.opened_at desc, c.created_at desc, c.id desc
    limit $8
), others as (
    (
        select c.id, c.created_at from campaigns c
        where $2
            and ($4 is null or to_tsvector('simple', c.name) @@ to_tsquery('simple', $4) or c.id like $10)
            and ($11 is null or c.id = any($11))
            and ($5 is null or $6 > 'epoch' or (c.created_at, c.id) < ($7, $5))
            and not exists (select from campaign_visits v where v.user_id = $1 and v.campaign_id = c.id)
        order by c.created_at desc, c.id desc limit $8
    )
    union
    (
        select c.id, c.created_at from campaigns c
        where not $2 and c.agency_id = $3
            and ($4 is null or to_tsvector('simple', c.name || '') @@ to_tsquery('simple', $4) or c.id like $10)
            and ($11 is null or c.id = any($11))
            and ($5 is null or $6 > 'epoch' or (c.created_at, c.id) < ($7, $5))
            and not exists (select from campaign_visits v where v.user_id = $1 and v.campaign_id = c.id)
        order by c.created_at desc, c.id desc limit $8
    )
    union
    (
        select c.id, c.created_at from campaigns c
        where not $2 and c.creator_id = $1 and c.status <> 'deleted'
            and ($4 is null or to_tsvector('simple', c.name || '') @@ to_tsquery('simple', $4) or c.id like $10)
            and ($11 is null or c.id = any($11))
            and ($5 is null or $6 > 'epoch' or (c.created_at, c.id) < ($7, $5))
            and not exists (select from campaign_visits v where v.user_id = $1 and v.campaign_id = c.id)
        order by c.created_at desc, c.id desc limit $8
    )
    union
    (
        select c.id, c.created_at from members m join campaigns c on c.id = m.campaign_id
        where not $2 and m.user_id = $1 and c.status <> 'deleted'
            and ($4 is null or to_tsvector('simple', c.name) @@ to_tsquery('simple', $4) or c.id like $10)
            and ($11 is null or c.id = any($11))
            and ($5 is null or $6 > 'epoch' or (c.created_at, c.id) < ($7, $5))
            and not exists (select from campaign_visits v where v.user_id = $1 and v.campaign_id = c.id)
        order by c.created_at desc, c.id desc limit $8
    )
), chosen as (
    select id, opened_at from (
        select id, opened_at, created_at from opened
        union all
        select id, null, created_at from others
    ) either
    order by coalesce(opened_at, 'epoch') desc, created_at desc, id desc
    limit $8
), page as (
    select c.id, c.name, c.channel, c.status, c.created_at, c.creator_id, o.opened_at,
        ($2 or ($3 is not null and c.agency_id = $3) or coalesce(m.role in ('owner', 'member'), false)) as sees_all
    from chosen o join campaigns c on c.id = o.id left join members m on m.campaign_id = c.id and m.user_id = $1
)
select p.id, p.name, p.channel, p.status, p.created_at, p.opened_at, u.email as creator_email, t.sender_name,
    case when p.sees_all
        then (select b.created_at from batches b where b.campaign_id = p.id order by b.created_at desc limit 1)
        else s.own_last_at end as last_at,
    s.waiting, s.failed, s.sends
from page p
join users u on u.id = p.creator_id
left join twilio_accounts t on t.campaign_id = p.id
cross join lateral (
    select count(*) as sends, max(n.created_at) filter (where n.is_seen) as own_last_at,
        coalesce(sum(n.failure + case when n.ended_at is null then 0 else n.unclaimed end) filter (where n.is_seen), 0) as failed,
        coalesce(sum(n.retrying + n.enqueued + case when n.ended_at is null then n.unclaimed else 0 end)
            filter (where n.is_seen), 0) as waiting
    from (
        select b.created_at, b.retrying, b.enqueued, b.failure, b.ended_at, p.sees_all or b.creator_id = $1 as is_seen,
            b.total_messages - b.retrying - b.enqueued - b.sending - b.sent - b.sent_to_telco - b.success - b.failure as unclaimed
        from batches b
        where b.campaign_id = p.id and b.created_at > now() - interval '7 days'
        order by b.created_at desc
        limit $9
    ) n
) s
order by coalesce(p.opened_at, 'epoch') desc, p.created_at desc, p.id desc

-- name: are_few
-- Whether whoever sees not all, but an agency's campaigns ($2), or own ones alone, sees at most $3 of the agency's.
select not $1::boolean and count(*) <= $3 from (select from campaigns where agency_id = $2::text limit $3::integer + 1) counted

-- name: whom_to_ask
-- Who is in charge of an agency.
select email from users where agency_id = $1 and is_pic order by email limit 20
