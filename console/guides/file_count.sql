-- name: list_campaigns
-- Those that the visitor may see and that are not deleted, by name.
select c.id, c.name from campaigns c
where c.status <> 'deleted' and (
    $2 or c.agency_id = $3 or c.creator_id = $1
    or exists (select from members m where m.campaign_id = c.id and m.user_id = $1)
)
order by lower(c.name), c.id
limit $4
