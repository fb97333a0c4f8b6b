-- name: insert_draft
insert into campaign_drafts (id, user_id, document) values ($1, $2, $3)

-- name: fetch_draft
select id, document, changed_at from campaign_drafts where id = $1 and user_id = $2

-- name: lock_draft
select id, document, changed_at from campaign_drafts where id = $1 and user_id = $2 for update

-- name: list_drafts
select id, document, changed_at from campaign_drafts where user_id = $1 order by changed_at desc limit 20

-- name: store_document
update campaign_drafts set document = $2, changed_at = now() where id = $1

-- name: delete_draft
delete from campaign_drafts where id = $1 and user_id = $2

-- name: delete_surplus
-- The oldest of a user who has begun many.
delete from campaign_drafts where id in (
    select id from campaign_drafts where user_id = $1 order by changed_at desc offset 19
)

-- name: delete_old
delete from campaign_drafts where changed_at < now() - interval '7 days'
