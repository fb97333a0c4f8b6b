-- name: note_visit
insert into campaign_visits (user_id, campaign_id) values ($1, $2)
on conflict (user_id, campaign_id) do update set opened_at = now()
where campaign_visits.opened_at < now() - interval '1 minute'
