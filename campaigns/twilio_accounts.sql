-- name: set_account
insert into twilio_accounts (campaign_id, account_sid, key_sid, secret, secret_key_id, service_sid, sender_name)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (campaign_id) do update set account_sid = excluded.account_sid, key_sid = excluded.key_sid,
    secret = excluded.secret, secret_key_id = excluded.secret_key_id, service_sid = excluded.service_sid,
    sender_name = excluded.sender_name, set_at = now(),
    account_since = case when twilio_accounts.account_sid = excluded.account_sid then twilio_accounts.account_since else now() end

-- name: fetch_account
select campaign_id, account_sid, key_sid, secret, secret_key_id, service_sid, sender_name, set_at
from twilio_accounts
where campaign_id = $1

-- name: fetch_account_of_service
select t.campaign_id, t.account_sid, t.key_sid, t.secret, t.secret_key_id, t.service_sid, t.sender_name, t.set_at
from twilio_accounts t join campaigns c on c.id = t.campaign_id
where t.service_sid = $1
order by c.status = 'deleted', t.set_at desc limit 1

-- name: fetch_other_owner
-- A messaging service belongs to one account: whoever names another one for it has mixed two up.
select t.campaign_id
from twilio_accounts t join campaigns c on c.id = t.campaign_id
where t.service_sid = $1 and t.account_sid <> $2 and t.campaign_id <> $3 and c.status <> 'deleted'
order by t.campaign_id limit 1

-- name: fetch_accounts
select campaign_id, account_sid, key_sid, secret, secret_key_id, service_sid, sender_name, set_at
from twilio_accounts
where $1::text[] is null or campaign_id = any($1)
order by campaign_id

-- name: lock_accounts
select campaign_id, account_sid, key_sid, secret, secret_key_id, service_sid, sender_name, set_at
from twilio_accounts
order by campaign_id
for update

-- name: delete_accounts_of_deleted
-- Until then what had left may be looked up.
delete from twilio_accounts t using campaigns c
where c.id = t.campaign_id and c.deleted_at < now() - interval '80 hours'

-- name: set_secret
update twilio_accounts set secret = $2, secret_key_id = $3 where campaign_id = $1

-- name: announce_account
-- Senders hear that messages which waited for an account may leave.
select pg_notify('sftp_gateway_batches', '')
