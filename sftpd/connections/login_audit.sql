-- name: is_campaign_known
select exists (select from campaigns where id = $1)
