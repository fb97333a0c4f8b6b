-- name: list_own_campaigns
-- Those whose costs somebody sees who sees no agency's: as owner, or as who has created them. What is deleted is theirs no more.
select coalesce(array_agg(c.id), '{}') from campaigns c
where c.status <> 'deleted' and (
    c.creator_id = $1
    or c.id in (select m.campaign_id from members m where m.user_id = $1 and m.role = 'owner')
)

-- name: list_agencies
-- A page of the agencies by name, after that of the page before. $1: part of the name.
select id, name from agencies
where strpos(lower(name), lower($1)) > 0 and name > $2
order by name limit $3
