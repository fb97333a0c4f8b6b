-- name: list_places
select id, name, agency_id, creator_id, status = 'deleted' as is_deleted
from campaigns
where $1 or agency_id = $2 or creator_id = $3 or id = any ($4::text[])
order by name, id
