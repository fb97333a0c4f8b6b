-- name: fetch_versions
-- Whether anything may have changed: the campaign's newest batch, and the versions of these batches' rows. A batch's row changes
-- with each status of its messages, as it counts them.
select (select batch_no from batches where campaign_id = $1 order by created_at desc, id desc limit 1) as newest,
    (select array_agg(xmin::text order by batch_no) from batches where batch_no = any($2)) as versions

-- name: list_creators
-- Who may have made a campaign's messages: its creator and its members.
select u.id, u.email from campaigns c join users u on u.id = c.creator_id where c.id = $1
union
select u.id, u.email from members m join users u on u.id = m.user_id where m.campaign_id = $1
order by email
