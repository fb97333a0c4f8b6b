-- name: add_refusal
insert into refusal_counts (campaign_id, hour, code, refusals) values ($1, date_trunc('hour', now(), 'UTC'), $2, 1)
on conflict (campaign_id, hour, code) do update set refusals = refusal_counts.refusals + 1
returning refusals

-- name: take_refusals
delete from refusal_counts where campaign_id = $1 returning code, refusals

-- name: list_counted_campaigns
select distinct campaign_id from refusal_counts

-- name: lock_refusals
-- One at a time for each campaign, so that no two of them count the same earlier ones.
select pg_advisory_xact_lock(hashtextextended($1, 7367470003))

-- name: count_recent_refusals
select count(*) from uploads
where campaign_id = $1 and refusal_code = any($2::text[]) and received_at > now() - interval '1 hour'

-- name: fetch_upload_to_sum_up_on
-- The e-mail that sums up hangs on a refusal that was told singly, as the outcome 0: an upload's own outcomes count from 1.
select id from uploads u
where campaign_id = $1 and received_at > now() - interval '7 days' and source = 'sftp'
  and not exists (select from notifications n where n.upload_id = u.id and n.outcome = 0)
order by refusal_code is null, received_at desc
limit 1

-- name: list_campaigns_with_untold
select distinct campaign_id from uploads where untold
