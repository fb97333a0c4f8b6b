-- Billing: what each day's attempts came to, in totals that move in the transactions that write outcomes; prices by date; months that
-- were posted, and their reports, frozen. Programs that know step 10 only go on as before: triggers count what they write.
-- oldest program: 1

-- step: transaction
alter table agencies
    add column customer_id text,
    add column sub_bu text,
    add column billing_contact text;

-- The e-mail domain of the creator, which pays; never changed. Null where an older program's row was not filled yet.
alter table campaigns add column billing_domain text;
create index campaigns_of_billing_domain on campaigns (billing_domain, agency_id);

create function set_billing_domain() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
    new.billing_domain := (select split_part(email, '@', 2) from users where id = new.creator_id);
    return new;
end
$$;
create trigger campaigns_billing_domain before insert on campaigns for each row execute function set_billing_domain();

-- Whose bill a domain's campaigns are on: the agency's that has the nearest domain above it, else the one that the campaign was made for.
create function paying_agency(domain text, agency text) returns text language sql stable as $$
select coalesce(
    (
        select d.agency_id from agency_domains d
        where d.domain = any(array(
            select array_to_string((string_to_array(paying_agency.domain, '.'))[place:], '.')
            from generate_subscripts(string_to_array(paying_agency.domain, '.'), 1) as place
        ))
        order by length(d.domain) desc limit 1
    ),
    agency
)
$$;

-- The campaigns on an agency's bill. There are few pairs of domain and agency, which are found by jumping through their index.
create function campaigns_paid_by(payer text) returns setof text language sql stable as $$
with recursive pairs as (
    (select billing_domain, agency_id from campaigns where billing_domain is not null order by 1, 2 limit 1)
    union all
    select n.billing_domain, n.agency_id from pairs p cross join lateral (
        select billing_domain, agency_id from campaigns c
        where (c.billing_domain, c.agency_id) > (p.billing_domain, p.agency_id) order by 1, 2 limit 1
    ) n
)
select c.id from pairs p join campaigns c using (billing_domain, agency_id)
where paying_agency(p.billing_domain, p.agency_id) = payer
$$;

-- Mills (SGD 0.001) a segment before GST, by the day of sending: the newest that is not after it. Before the first one, the first.
create table prices (
    valid_from date primary key,
    local_mills integer not null check (local_mills >= 0),
    foreign_mills integer not null check (foreign_mills >= 0),
    added_at timestamptz not null default now()
);
insert into prices (valid_from, local_mills, foreign_mills) values ('2025-07-01', 46, 230);

-- From which day to before which each price holds.
create view price_periods as
select local_mills, foreign_mills,
    case when valid_from = min(valid_from) over () then '-infinity' else valid_from end as begins,
    coalesce(lead(valid_from) over (order by valid_from), 'infinity') as ends
from prices;

-- When it was claimed, where that is neither `created_at` nor told by `sent_at`: of a retry that the provider refused.
alter table attempts add column claimed_at timestamptz(3);

-- Attempts that have an outcome, counted by the day of their sending in Singapore.
create table usage_days (
    campaign_id text not null,
    day date not null,
    destination text not null check (destination in ('local', 'foreign')),
    -- `success`, `sent_to_telco`, or the code of a failure.
    outcome text not null,
    -- The failure is our own: no news came in time.
    own_expiry boolean not null,
    encoding text not null,
    attempts bigint not null,
    segments bigint not null,
    primary key (campaign_id, day, destination, outcome, own_expiry, encoding)
) with (fillfactor = 50);
create index usage_days_by_day on usage_days (day);

-- A month that was posted: its days don't move any more. Months are posted in their order.
create table billing_months (
    month date primary key check (month = date_trunc('month', month::timestamp)::date),
    posted_at timestamptz not null
);

-- The outcome that an attempt had when its month was posted, where it has changed since. Null: it had none.
create table late_outcomes (
    batch_no integer not null,
    row_number integer not null,
    attempt smallint not null,
    outcome text,
    own_expiry boolean not null,
    changed_at timestamptz not null default now(),
    primary key (batch_no, row_number, attempt)
);

-- When a campaign's totals were last compared with its attempts, and how many differed. `night`: Singapore's day, where it was its turn.
create table usage_checks (
    campaign_id text primary key,
    checked_at timestamptz not null,
    night date,
    differences integer not null
);

-- One agency's month. A correction is a new version; rows are never changed.
create table billing_reports (
    id bigint generated always as identity primary key,
    agency_id text not null references agencies,
    month date not null references billing_months,
    version integer not null check (version >= 1),
    posted_at timestamptz not null,
    dispute_by date not null,
    -- Why it is another version.
    reason text check ((version = 1) = (reason is null)),
    -- As they were when it was posted.
    agency_name text not null,
    customer_id text,
    sub_bu text,
    contact text,
    -- Of what is charged.
    local_messages bigint not null,
    local_segments bigint not null,
    local_mills bigint not null,
    foreign_messages bigint not null,
    foreign_segments bigint not null,
    foreign_mills bigint not null,
    unique (agency_id, month, version)
);

create table billing_report_campaigns (
    report_id bigint not null references billing_reports,
    campaign_id text not null,
    name text not null,
    creator text not null,
    channel text not null,
    created_at timestamptz not null,
    deleted_at timestamptz,
    primary key (report_id, campaign_id)
);
create index billing_reports_of_campaign on billing_report_campaigns (campaign_id);

create table billing_report_lines (
    report_id bigint not null,
    campaign_id text not null,
    destination text not null check (destination in ('local', 'foreign')),
    -- As in usage_days, or `correction`.
    outcome text not null,
    own_expiry boolean not null,
    -- Mills a segment.
    price integer not null,
    charged boolean not null,
    attempts bigint not null,
    segments bigint not null,
    primary key (report_id, campaign_id, destination, outcome, own_expiry, price),
    foreign key (report_id, campaign_id) references billing_report_campaigns
);

-- Files of message logs that are made in the background and kept for some days.
create table log_exports (
    id text primary key,
    campaign_id text not null references campaigns,
    user_id text not null references users,
    -- What was asked for: {"from", "to", "statuses", "batchId", "form", …}.
    query jsonb not null,
    -- What the file is called when it is saved.
    file_name text not null,
    requested_at timestamptz not null default now(),
    -- How many rows are written, of about how many.
    rows_done bigint not null default 0,
    rows_expected bigint,
    object_key text,
    bytes bigint,
    finished_at timestamptz,
    -- Why there is no file.
    error text,
    expires_at timestamptz not null
);
create index log_exports_of_user on log_exports (user_id, requested_at desc);
create index log_exports_by_end on log_exports (expires_at);

create function attempt_outcome(status smallint, error text) returns text language sql immutable parallel safe
return case status when 4 then 'sent_to_telco' when 5 then 'success' when 6 then coalesce(error, 'delivery_unknown_error') end;

-- The day that an attempt is counted on: of its sending, or of its claim where nothing better is known. Singapore has had one clock since 1982.
create function usage_day(sent_at timestamptz, claimed_at timestamptz, created_at timestamptz)
returns date language sql immutable parallel safe
return (coalesce(sent_at, claimed_at, created_at) at time zone interval '08:00')::date;

-- Of all batches but those that were there before: the last step counts these, and then sets it.
alter table batches add column usage_counted boolean not null default false;
alter table batches alter column usage_counted set default true;

-- Any fixed number: whoever moves usage shares this lock, and who posts a month has it alone.
create function lock_usage() returns void language sql as $$ select pg_advisory_xact_lock_shared(7367470016) $$;
create function lock_usage_alone() returns void language sql as $$ select pg_advisory_xact_lock(7367470016) $$;

-- The first day of a month that isn't posted; the lock keeps it so until the transaction ends.
create function lock_open_usage() returns date language plpgsql as $$
begin
    perform lock_usage();
    -- A statement of its own, which sees what was posted while the lock was waited for.
    return (select coalesce((max(month) + interval '1 month')::date, '-infinity') from billing_months);
end
$$;

-- Moves attempts that have changed from the outcome that they had, if any, to the one that they have. Each is counted once, by its last
-- outcome; in a month that was posted nothing moves, and what it had then is written down. Whoever changes attempts has locked them and
-- their batches.
-- Plans are made once and must be good for one attempt and for thousands, in tables of any size. The two transition tables are never
-- compared row by row; batches and messages are found by their keys, one by one. What the settings forbid seems to cost so much that
-- PostgreSQL before 18 would compile each statement, which takes it 300 ms.
create function count_changed_attempts() returns trigger language plpgsql security definer
set search_path = public, pg_temp set enable_nestloop = off set enable_seqscan = off set jit = off as $$
declare
    closed_before date;
begin
    -- Most changes are none of an outcome.
    if not exists (select from attempts_after where status >= 4) then
        return null;
    end if;
    closed_before := lock_open_usage();
    insert into late_outcomes (batch_no, row_number, attempt, outcome, own_expiry)
    select n.batch_no, n.row_number, n.attempt, attempt_outcome(o.status, o.error), o.status = 6 and o.expired
    from attempts_before o join attempts_after n using (batch_no, row_number, attempt)
    where n.status >= 4 and usage_day(n.sent_at, n.claimed_at, n.created_at) < closed_before
        and (o.status, o.error, o.expired) is distinct from (n.status, n.error, n.expired)
    order by 1, 2, 3
    on conflict do nothing;
    insert into usage_days as u (campaign_id, day, destination, outcome, own_expiry, encoding, attempts, segments)
    select b.campaign_id, k.day, case when m.recipient like '65%' then 'local' else 'foreign' end, s.outcome, s.own, m.encoding,
        sum(s.sign), sum(s.sign * m.segments)
    from (
        select n.batch_no, n.row_number, usage_day(n.sent_at, n.claimed_at, n.created_at) as day,
            attempt_outcome(o.status, o.error) as before, o.status = 6 and o.expired as before_own,
            attempt_outcome(n.status, n.error) as after, n.status = 6 and n.expired as after_own
        from attempts_before o join attempts_after n using (batch_no, row_number, attempt)
        where n.status >= 4 and (o.status, o.error, o.expired) is distinct from (n.status, n.error, n.expired)
    ) k
    cross join lateral (select campaign_id from batches where batch_no = k.batch_no and usage_counted offset 0) b
    cross join lateral (
        select recipient, encoding, segments from messages where batch_no = k.batch_no and row_number = k.row_number offset 0
    ) m
    cross join lateral (values (k.before, k.before_own, -1), (k.after, k.after_own, 1)) s (outcome, own, sign)
    where k.day >= closed_before and s.outcome is not null
    group by 1, 2, 3, 4, 5, 6
    having sum(s.sign) <> 0 or sum(s.sign * m.segments) <> 0
    -- Everybody locks in one order.
    order by 1, 2, 3, 4, 5, 6
    on conflict (campaign_id, day, destination, outcome, own_expiry, encoding)
    do update set attempts = u.attempts + excluded.attempts, segments = u.segments + excluded.segments;
    return null;
end
$$;
create trigger attempts_changed after update on attempts referencing old table as attempts_before new table as attempts_after
for each statement execute function count_changed_attempts();

-- What never left has failed without an attempt, and gets one that has ended before it is retried.
create function count_new_attempts() returns trigger language plpgsql security definer
set search_path = public, pg_temp set enable_nestloop = off set enable_seqscan = off set jit = off as $$
declare
    closed_before date;
begin
    if not exists (select from attempts_after where status >= 4) then
        return null;
    end if;
    closed_before := lock_open_usage();
    insert into late_outcomes (batch_no, row_number, attempt, outcome, own_expiry)
    select batch_no, row_number, attempt, null, false from attempts_after
    where status >= 4 and usage_day(sent_at, claimed_at, created_at) < closed_before
    order by 1, 2, 3
    on conflict do nothing;
    insert into usage_days as u (campaign_id, day, destination, outcome, own_expiry, encoding, attempts, segments)
    select b.campaign_id, k.day, case when m.recipient like '65%' then 'local' else 'foreign' end, k.outcome, k.own, m.encoding,
        count(*), sum(m.segments)
    from (
        select batch_no, row_number, usage_day(sent_at, claimed_at, created_at) as day,
            attempt_outcome(status, error) as outcome, status = 6 and expired as own
        from attempts_after where status >= 4
    ) k
    cross join lateral (select campaign_id from batches where batch_no = k.batch_no and usage_counted offset 0) b
    cross join lateral (
        select recipient, encoding, segments from messages where batch_no = k.batch_no and row_number = k.row_number offset 0
    ) m
    where k.day >= closed_before
    group by 1, 2, 3, 4, 5, 6
    order by 1, 2, 3, 4, 5, 6
    on conflict (campaign_id, day, destination, outcome, own_expiry, encoding)
    do update set attempts = u.attempts + excluded.attempts, segments = u.segments + excluded.segments;
    return null;
end
$$;
create trigger attempts_added after insert on attempts referencing new table as attempts_after
for each statement execute function count_new_attempts();

-- These run with their owner's rights. Nobody else may call them, or make them triggers of tables of their own making.
revoke execute on function set_billing_domain(), count_changed_attempts(), count_new_attempts() from public;

-- The totals of a campaign that aren't what its attempts come to, both read in one snapshot. Only counts leave it, so that whoever may
-- call it need not be let read any number or text.
create function usage_differences(
    campaign text, out day date, out destination text, out outcome text, out own_expiry boolean, out encoding text,
    out counted_attempts bigint, out counted_segments bigint, out found_attempts bigint, out found_segments bigint
)
returns setof record language sql stable security definer set search_path = public, pg_temp as $$
with outcomes as (
    select usage_day(a.sent_at, a.claimed_at, a.created_at) as day,
        case when m.recipient like '65%' then 'local' else 'foreign' end as destination,
        -- In a month that was posted, what it had then.
        case when l.batch_no is null then attempt_outcome(a.status, a.error) else l.outcome end as outcome,
        case when l.batch_no is null then a.status = 6 and a.expired else l.own_expiry end as own_expiry, m.encoding, m.segments
    from batches b
    join attempts a on a.batch_no = b.batch_no and a.status >= 4
    join messages m on m.batch_no = a.batch_no and m.row_number = a.row_number
    left join late_outcomes l on l.batch_no = a.batch_no and l.row_number = a.row_number and l.attempt = a.attempt
    where b.campaign_id = usage_differences.campaign and b.usage_counted
), found as (
    select day, destination, outcome, own_expiry, encoding, count(*) as attempts, sum(segments) as segments
    from outcomes where outcome is not null group by 1, 2, 3, 4, 5
), counted as (
    select day, destination, outcome, own_expiry, encoding, attempts, segments from usage_days
    where campaign_id = usage_differences.campaign and (attempts, segments) is distinct from (0::bigint, 0::bigint)
)
select day, destination, outcome, own_expiry, encoding,
    coalesce(c.attempts, 0), coalesce(c.segments, 0), coalesce(f.attempts, 0), coalesce(f.segments, 0)::bigint
from counted c full join found f using (day, destination, outcome, own_expiry, encoding)
where (c.attempts, c.segments) is distinct from (f.attempts, f.segments)
order by 1, 2, 3, 4, 5
$$;
revoke execute on function usage_differences(text) from public;

-- Counts the next batches that were there before. What they have is read after they are locked, so that it is what the triggers go on from.
create function count_usage_of_batches(after integer, most integer, out "position" text, out rows bigint)
language plpgsql as $$
declare
    chosen integer[];
begin
    -- A transaction counts so many batches, or as many as have some thousands of messages.
    chosen := array(
        select b.batch_no from batches b
        where not b.usage_counted and b.batch_no = any(array(
            select n.batch_no from (
                select batch_no, sum(total_messages) over (order by batch_no) - total_messages as messages_before
                from (
                    select batch_no, total_messages from batches where not usage_counted and batch_no > after
                    order by batch_no limit most
                ) t
            ) n
            where n.messages_before < 20000
        ))
        order by b.batch_no
        for no key update
    );
    insert into usage_days as u (campaign_id, day, destination, outcome, own_expiry, encoding, attempts, segments)
    select b.campaign_id, usage_day(a.sent_at, a.claimed_at, a.created_at),
        case when m.recipient like '65%' then 'local' else 'foreign' end, attempt_outcome(a.status, a.error),
        a.status = 6 and a.expired, m.encoding, count(*), sum(m.segments)
    from batches b join attempts a using (batch_no) join messages m using (batch_no, row_number)
    where b.batch_no = any(chosen) and not b.usage_counted and a.status >= 4
    group by 1, 2, 3, 4, 5, 6
    order by 1, 2, 3, 4, 5, 6
    on conflict (campaign_id, day, destination, outcome, own_expiry, encoding)
    do update set attempts = u.attempts + excluded.attempts, segments = u.segments + excluded.segments;
    update batches set usage_counted = true where batch_no = any(chosen) and not usage_counted;
    select max(number)::text, count(*) into "position", rows from unnest(chosen) as number;
end
$$;

-- step: pieces
with piece as (
    select id from campaigns where id > $1 and billing_domain is null order by id limit $2 for no key update
), filled as (
    update campaigns c set billing_domain = split_part(u.email, '@', 2)
    from users u, piece p where c.id = p.id and u.id = c.creator_id
)
select max(id) as position, count(*) as rows from piece

-- step: alone
create index concurrently batches_not_counted on batches (batch_no) where not usage_counted

-- step: alone
-- A log of some days finds by it the batches that were made long before them and have attempts in them; nearly all end sooner.
create index concurrently batches_that_took_days on batches (campaign_id, batch_no)
where finished_at - created_at > interval '4 days'

-- step: pieces
select "position", rows from count_usage_of_batches(coalesce(nullif($1, '')::integer, 0), $2)

-- step: transaction
drop function count_usage_of_batches(integer, integer);
