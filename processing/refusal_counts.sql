-- name: add_refusal
insert into refusal_counts (campaign_id, hour, code, refusals) values ($1, date_trunc('hour', now(), 'UTC'), $2, 1)
on conflict (campaign_id, hour, code) do update set refusals = refusal_counts.refusals + 1
returning refusals

-- name: take_refusals
delete from refusal_counts where campaign_id = $1 returning code, refusals

-- name: list_counted_campaigns
select distinct campaign_id from refusal_counts
