-- name: prepare
-- What the statements below say of each number, the same in all of them: so no table is read to fill another.
create schema growth;
create function growth.named(kind text, number bigint) returns text language sql immutable parallel safe
return kind || '_' || md5(kind || number::text)::uuid::text;
-- Spread without any order, and the same each time.
create function growth.spread(number bigint, over bigint) returns bigint language sql immutable parallel safe
return 1 + (hashint8(number)::bigint & 2147483647) % over;
-- The tenth of all uploads is campaign 1's; half of all single messages are campaign 2's.
create function growth.campaign_of_upload(number bigint, campaigns bigint) returns bigint language sql immutable parallel safe
return case when number % 10 = 0 then 1 else growth.spread(number, campaigns) end;
create function growth.campaign_of_single(number bigint, campaigns bigint) returns bigint language sql immutable parallel safe
return case when number % 2 = 0 then 2 else growth.spread(number, campaigns) end;
-- Each twenty-fourth lies in a range of its own, as if it were a month: ranges of batches and of audit events.
create function growth.batch_no(number bigint) returns integer language sql stable parallel safe
return (number - 1) * 24 / current_setting('growth.uploads')::bigint * 4000000 + number;
create function growth.event_id(number bigint) returns bigint language sql stable parallel safe
return (number - 1) * 24 / current_setting('growth.events')::bigint * 1000000000000 + number;
-- Each twenty uploads have ten batches, and beside them are ten single messages: twenty numbers of batches.
create function growth.batch_of_upload(number bigint) returns bigint language sql immutable parallel safe
return case when (number - 1) % 20 < 10 then number end;
-- Each agency that has campaigns has two thousand, however many of the agencies that is.
create function growth.agencies() returns bigint language sql stable parallel safe
return current_setting('growth.agencies')::bigint;
create function growth.agency_of(campaign bigint) returns bigint language sql stable parallel safe
return 1 + campaign % growth.agencies();
create function growth.user_of(campaign bigint) returns bigint language sql stable parallel safe
return (growth.agency_of(campaign) - 1) * 10 + growth.spread(campaign, 10);

-- name: tell_sizes
select set_config('growth.uploads', $1::integer::text, false), set_config('growth.events', $2::integer::text, false),
    set_config('growth.agencies', greatest($3::integer / 2000, 1)::text, false)

-- name: continue_numbers
select setval(pg_get_serial_sequence('batches', 'batch_no'), growth.batch_no($1::integer)),
    setval(pg_get_serial_sequence('audit_events', 'id'), growth.event_id($2::integer))

-- name: make_ranges
-- Up to those that the numbers have come to.
select extend_message_ranges(), extend_audit_ranges()

-- name: leave_indexes
-- Rows come without their indexes, which are made at the end.
update pg_index set indisready = false where indrelid = any($1::text[]::regclass[])

-- name: list_leaves
-- These tables, or their partitions.
select coalesce(p.relid, t.name::regclass)::text from unnest($1::text[]) t (name)
left join lateral pg_partition_tree(t.name::regclass) p on true
where p.isleaf is distinct from false

-- name: insert_agencies
-- A hundred at least, of which the last ones may have no campaign.
insert into agencies (id, name)
select growth.named('agency', n), 'Agency ' || n from generate_series(1, greatest(growth.agencies(), 100)) n

-- name: insert_domains
insert into agency_domains (domain, agency_id)
select 'agency' || n || '.gov.sg', growth.named('agency', n) from generate_series(1, greatest(growth.agencies(), 100)) n

-- name: insert_users
-- Ten of each agency, the first of them in charge; and one of ops.
insert into users (id, email, agency_id, is_pic, may_create, is_ops)
select growth.named('user', n), 'officer' || n || '@agency' || (n + 9) / 10 || '.gov.sg', growth.named('agency', (n + 9) / 10),
    n % 10 = 1, true, false
from generate_series(1, greatest(growth.agencies(), 100) * 10) n
union all
select growth.named('user', 0), 'ops@tech.gov.sg', null, false, false, true

-- name: insert_campaigns
-- Names and statuses are spread over each agency's campaigns alike; the first two, which have most uploads and messages, are active.
insert into campaigns (id, name, channel, header, notify_email, status, created_at, deleted_at, agency_id, creator_id, billing_domain)
select growth.named('campaign', n),
    (array['Clinic reminders', 'Library notices', 'Tax letters', 'School closures', 'Water works'])[growth.spread(n + 1, 5)] || ' ' || n,
    case when n % 1000 = 11 then 'internal' else 'public' end, 'Agency', 'night' || n || '@agency.example',
    case when is_deleted then 'deleted' else 'active' end, $2::timestamptz + n * $3::interval,
    case when is_deleted then now() end, growth.named('agency', growth.agency_of(n)), growth.named('user', growth.user_of(n)),
    'agency' || growth.agency_of(n) || '.gov.sg'
from generate_series(1, $1::integer) n cross join lateral (select n > 2 and growth.spread(n + 1, 5) > 3 as is_deleted) d

-- name: insert_bodies
insert into template_bodies (campaign_id, language, body, position)
select growth.named('campaign', n), 'english', 'Dear {{name}}, about {{topic}}.', 0 from generate_series(1, $1::integer) n

-- name: insert_ssh_keys
insert into ssh_keys (campaign_id, fingerprint, algorithm, public_key)
select growth.named('campaign', n), 'SHA256:' || md5('key' || n), 'ssh-ed25519', 'ssh-ed25519 ' || md5('public' || n)
from generate_series(1, $1::integer) n

-- name: insert_api_keys
insert into api_keys (prefix, campaign_id, digest)
select 'g' || lpad(n::text, 7, '0'), growth.named('campaign', n), sha256(n::text::bytea) from generate_series(1, $1::integer) n

-- name: insert_api_uses
insert into api_uses (prefix, source_address, campaign_id, last_at, admitted)
select 'g' || lpad(n::text, 7, '0'), '10.0.0.1', growth.named('campaign', n), now() - n * interval '1 minute', n
from generate_series(1, $1::integer) n

-- name: insert_members
insert into members (campaign_id, user_id, role)
select growth.named('campaign', n), growth.named('user', growth.user_of(n)), 'owner' from generate_series(1, $1::integer) n
union
select growth.named('campaign', n), growth.named('user', growth.spread(n, growth.agencies() * 10)), 'member' from generate_series(1, $1::integer) n
where growth.spread(n, growth.agencies() * 10) <> growth.user_of(n)

-- name: insert_visits
-- Of those that a person has made, one of ten was opened.
insert into campaign_visits (user_id, campaign_id, opened_at)
select growth.named('user', growth.user_of(n)), growth.named('campaign', n), now() - n * interval '1 minute'
from generate_series(1, $1::integer) n where growth.spread(n + 2, 10) = 1

-- name: insert_sender
insert into senders (name, provider, rate) values ('public', 'simulator', 100000) on conflict (name) do update set rate = excluded.rate

-- name: insert_lanes
insert into lanes (sender_id, campaign_id, priority)
select s.id, growth.named('campaign', n), p
from generate_series(1, $1::integer) n, generate_series(1, 2) p, senders s
where s.name = 'public' and n % 1000 <> 11

-- name: insert_uploads
-- Half of all are accepted, one of a hundred has failed, the others are rejected. The last week's originals are kept.
insert into uploads (id, campaign_id, file_name, status, bytes, sha256, object_key, report_name, report_key, source_address,
    received_at, deciding_since, attempts, finished_at, outcome, batch_id, total_messages, num_rows, num_errors,
    has_avoidable_character, has_unicode, support_id, notified_at, creator_id)
select growth.named('upload', n), growth.named('campaign', c), 'night-' || n % 1000 || '.csv',
    case when b is not null then 'accepted' when n % 100 = 99 then 'failed' else 'rejected' end,
    1000 + n % 9000, encode(sha256(n::text::bytea), 'hex'),
    case when at > now() - interval '7 days' then 'originals/' || n end, md5('report' || n),
    case when b is null and n % 100 <> 99 then 'reports/' || n end, '10.0.0.1', at, at, 1, at + interval '2 s', 1,
    growth.named('batch', b), case when b is not null then 19 end, case when b is not null then 0 else 19 end,
    case when b is not null then 0 else 2 end, false, false, case when b is null and n % 100 = 99 then 'S-' || n end, at + interval '3 s', null
from (
    select n, growth.campaign_of_upload(n, $3::integer) as c, $4::timestamptz + n * $5::interval as at, growth.batch_of_upload(n) as b
    from generate_series($1::integer, $2::integer) n
) u

-- name: insert_notifications
insert into notifications (upload_id, outcome, status, facts, created_at, done_at, sent_at)
select growth.named('upload', n), 1, case when growth.batch_of_upload(n) is not null then 'accepted' else 'rejected' end, '{}', at, at, at
from (select n, $3::timestamptz + n * $4::interval as at from generate_series($1::integer, $2::integer) n) u

-- name: insert_batches
insert into batches (batch_no, id, campaign_id, upload_id, original_file_name, total_messages, created_at, kind, frame, taken_at,
    lane_id, cursor_row, success, failure, errors, finished_at)
select growth.batch_no(n), growth.named('batch', n), growth.named('campaign', c), case when not is_single then growth.named('upload', n) end,
    case when is_single then '' else 'night-' || n % 1000 || '.csv' end, case when is_single then 1 else 19 end, at,
    case when is_single then 'single' else 'batch' end, '{"before": "Agency: ", "after": {"english": ""}}', at, null,
    case when is_single then 1 else 20 end, case when is_single then 1 else 18 end, case when is_single then 0 else 1 end,
    case when is_single then '{}' else '{"recipient_unavailable": 1}' end::jsonb, at + interval '1 minute'
from (
    select n, is_single, date_trunc('milliseconds', $4::timestamptz + n * $5::interval) as at,
        case when is_single then growth.campaign_of_single(n, $3::integer) else growth.campaign_of_upload(n, $3::integer) end as c
    from (select n, (n - 1) % 20 >= 10 as is_single from generate_series($1::integer, $2::integer) n) numbered
) b

-- name: insert_messages
insert into messages (batch_no, row_number, recipient, language, "values", segments, encoding, created_at)
select growth.batch_no(b), r, '658' || lpad(((b::bigint * 7919 + r * 31) % 10000000)::text, 7, '0'), 'english',
    jsonb_build_object('name', 'Emily Yeo', 'topic', 'letter ' || b), 1, 'GSM-7', $3::timestamptz + b * $4::interval
from generate_series($1::integer, $2::integer) b
cross join lateral generate_series(case when (b - 1) % 20 < 10 then 2 else 1 end, case when (b - 1) % 20 < 10 then 20 else 1 end) r

-- name: insert_attempts
-- Of each batch one message has failed.
insert into attempts (batch_no, row_number, attempt, status, created_at, updated_at, sent_at, delivered_at, claimed_at, provider_id, error)
select growth.batch_no(b), r, 1, case when r = 20 then 6 else 5 end, at, at, at, case when r = 20 then null else at end, at, 'SM' || b || '-' || r,
    case when r = 20 then 'recipient_unavailable' end
from (
    select b, r, $3::timestamptz + b * $4::interval as at
    from generate_series($1::integer, $2::integer) b
    cross join lateral generate_series(case when (b - 1) % 20 < 10 then 2 else 1 end, case when (b - 1) % 20 < 10 then 20 else 1 end) r
) k

-- name: insert_events
-- Of each five, two are of one upload, two of the next, and one is a login.
insert into audit_events (id, at, event, campaign_id, upload_id, actor, source_address, details)
overriding system value
select growth.event_id(n), $4::timestamptz + n * $5::interval,
    case n % 5 when 0 then 'login_accepted' when 1 then 'upload_received' when 3 then 'upload_received' else 'upload_decided' end,
    growth.named('campaign', growth.campaign_of_upload(u, $3::integer)),
    case when n % 5 > 0 then growth.named('upload', u) end, 'SHA256:' || md5('key' || growth.campaign_of_upload(u, $3::integer)), '10.0.0.1',
    case n % 5 when 0 then '{}' when 1 then '{"bytes": 1000}' when 3 then '{"bytes": 1000}' else '{"status": "accepted"}' end::jsonb
from (
    select n, (n - 1) / 5 * 2 + case when (n - 1) % 5 < 2 then 1 else 2 end as u from generate_series($1::integer, $2::integer) n
) e
order by n

-- name: insert_usage
insert into usage_days (campaign_id, day, destination, outcome, own_expiry, encoding, attempts, segments)
select campaign_id, (created_at at time zone interval '08:00')::date, 'local', o.outcome, false, 'GSM-7', sum(o.n), sum(o.n)
from batches cross join lateral (values ('success', success), ('recipient_unavailable', failure)) o (outcome, n)
where o.n > 0
group by 1, 2, 4

-- name: insert_queue_log
-- The queue's own log of the last week, after which the retention removes it.
insert into pgqueuer_log (created, job_id, status, priority, entrypoint)
select now() - interval '6 days' + n * interval '6 days' / $1::integer, n, 'successful', 0, 'verdict'
from generate_series(1, $1::integer) n

-- name: end_filling
drop schema growth cascade
