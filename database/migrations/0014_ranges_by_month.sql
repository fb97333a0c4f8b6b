-- Ranges of messages, attempts and audit events begin with each month, so that an old month can leave the database as a whole. The
-- table of audit events becomes the first range of a partitioned one of the same name, and none of its rows is read or moved for it.
-- Programs that know step 13 only go on as before: they read and write the same names, and add ranges by the same function.
-- oldest program: 1

-- step: transaction
-- What the table holds, and gets until it is a range: ids count by ones from 1, so that none comes near this end.
alter table audit_events
    add constraint audit_events_first_range check (id >= 0::bigint and id < 1000000000000::bigint) not valid;

-- step: alone
-- Reads the table, and stops nobody. What is checked once isn't read again by the next step, which stops those who write.
alter table audit_events validate constraint audit_events_first_range

-- step: transaction
lock table audit_events in access exclusive mode;
alter table audit_events rename to audit_events_to_1000000000000;
alter table audit_events_to_1000000000000 rename constraint audit_events_pkey to audit_events_to_1000000000000_pkey;
alter index audit_events_of_upload rename to audit_events_to_1000000000000_upload_id_id_idx;
alter index audit_events_of_campaign rename to audit_events_to_1000000000000_campaign_id_id_idx;
alter index audit_events_of_event rename to audit_events_to_1000000000000_event_id_idx;
alter index audit_events_of_actor rename to audit_events_to_1000000000000_actor_id_idx;

do $$
declare
    given record;
    owner text;
    next_id bigint;
begin
    select relowner::regrole::text into owner from pg_class where oid = 'audit_events_to_1000000000000'::regclass;
    execute 'select last_value + is_called::integer from '
        || pg_get_serial_sequence('audit_events_to_1000000000000', 'id') into next_id;
    -- The ids are the partitioned table's: PostgreSQL 17 and newer take no range that has ids of its own.
    alter table audit_events_to_1000000000000 alter column id drop identity;
    -- Kept for ever, if not here: admin actions; logins, uploads and refusals of known campaigns; the steps of each upload.
    create table audit_events (
        id bigint generated always as identity primary key,
        at timestamptz not null default now(),
        event text not null,
        campaign_id text,
        upload_id text,
        connection_id text,
        -- Who: an operating-system user at the command line, or the fingerprint of the key used.
        actor text,
        source_address inet,
        details jsonb not null default '{}'
    ) partition by range (id);
    create index audit_events_of_upload on audit_events (upload_id, id) where upload_id is not null;
    create index audit_events_of_campaign on audit_events (campaign_id, id) where campaign_id is not null;
    create index audit_events_of_event on audit_events (event, id);
    create index audit_events_of_actor on audit_events (actor, id) where actor is not null;
    execute 'alter table audit_events owner to ' || owner;
    alter table audit_events
        attach partition audit_events_to_1000000000000 for values from (0) to (1000000000000);
    alter table audit_events_to_1000000000000 drop constraint audit_events_first_range;
    perform setval(pg_get_serial_sequence('audit_events', 'id'), next_id, false);
    -- Whoever had rights on the table, or on some of its columns, has them on the partitioned one, and none on a range.
    for given in
        select privilege_type, grantee, is_grantable, null::text as columns
        from pg_class, aclexplode(relacl)
        where oid = 'audit_events_to_1000000000000'::regclass and grantee <> relowner
        union all
        select privilege_type, grantee, is_grantable, string_agg(quote_ident(attname), ', ')
        from pg_attribute, aclexplode(attacl)
        where attrelid = 'audit_events_to_1000000000000'::regclass and not attisdropped
        group by privilege_type, grantee, is_grantable
    loop
        execute format(
            'grant %s%s on audit_events to %s%s', given.privilege_type, coalesce(' (' || given.columns || ')', ''),
            case given.grantee when 0 then 'public' else given.grantee::regrole::text end,
            case when given.is_grantable then ' with grant option' else '' end
        );
        execute format(
            'revoke all on audit_events_to_1000000000000 from %s',
            case given.grantee when 0 then 'public' else given.grantee::regrole::text end
        );
    end loop;
end
$$;

-- step: transaction
-- What follows looks after the ranges: any number of programs may call it at any time, and one after the other does it. Ranges are
-- attached ahead of time, which stops no writer. A range is left before its numbers are used up by letting them jump to the next,
-- which is attached by then: numbers only ever jump forward, and never near a range's end, where others might be ahead of the jump.
-- Nothing fails where nobody calls them for years: then a range only holds more than a month.

-- Whether whoever is told that a range's first row is of this moment should leave it: it is of a month before, as Singapore has it.
create function is_of_month_before(first_at timestamptz, moment timestamptz) returns boolean language sql immutable parallel safe
return date_trunc('month', first_at at time zone interval '08:00') < date_trunc('month', moment at time zone interval '08:00');

-- Ranges of batch_no: each a table of messages and one of attempts. One is left at the month's end, and where its messages have grown
-- large. Returns how many were added.
create function extend_message_ranges(
    moment timestamptz default now(), width integer default 4000000, large bigint default 5368709120
)
returns integer language plpgsql security definer set search_path = public, pg_temp as $$
declare
    numbers constant text := pg_get_serial_sequence('public.batches', 'batch_no');
    added integer := 0;
    newest integer;
    next_no bigint;
    -- Where the range ends that the next number lies in, and the one that was attached last.
    open_end integer;
    last_end integer;
    first_at timestamptz;
    leaves boolean;
begin
    -- Any fixed number: whoever adds ranges takes this lock.
    perform pg_advisory_xact_lock(7367470005);
    select coalesce(max(batch_no), 0) into newest from batches;
    execute 'select last_value + is_called::integer from ' || numbers into next_no;
    select coalesce(max(substring(relname from '_(\d+)$')::integer), 0) into last_end
    from pg_inherits join pg_class on oid = inhrelid where inhparent = 'public.attempts'::regclass;
    open_end := next_no - next_no % width + width;
    select created_at into first_at from batches
    where batch_no >= open_end - width and batch_no < open_end order by batch_no limit 1;
    leaves := first_at is not null and last_end >= open_end + width
        and (is_of_month_before(first_at, moment) or pg_table_size(to_regclass(format('messages_to_%s', open_end))) > large);
    -- The range in use from now on, and one more.
    while greatest(open_end + case when leaves then width else 0 end, newest - newest % width + width) + width > last_end loop
        execute format('create table messages_to_%s (like messages including defaults including indexes)', last_end + width);
        execute format('create table attempts_to_%s (like attempts including all) with (fillfactor = 60)', last_end + width);
        execute format('alter table messages attach partition messages_to_%s for values from (%s) to (%s)',
            last_end + width, last_end, last_end + width);
        execute format('alter table attempts attach partition attempts_to_%s for values from (%s) to (%s)',
            last_end + width, last_end, last_end + width);
        last_end := last_end + width;
        added := added + 1;
    end loop;
    if leaves then
        execute 'select last_value + is_called::integer from ' || numbers into next_no;
        if next_no < open_end - width / 40 then
            perform setval(numbers::regclass, open_end, false);
        end if;
    end if;
    return added;
end
$$;
-- As programs that know step 13 only, and people, call it.
create or replace function add_message_ranges(width integer default 4000000, large bigint default 5368709120)
returns integer language sql security definer set search_path = public, pg_temp as $$
    select extend_message_ranges(now(), width, large)
$$;

-- Ranges of an audit event's id, as wide as if a thousand came each second for thirty years.
create function extend_audit_ranges(moment timestamptz default now(), width bigint default 1000000000000)
returns integer language plpgsql security definer set search_path = public, pg_temp as $$
declare
    numbers constant text := pg_get_serial_sequence('public.audit_events', 'id');
    added integer := 0;
    next_id bigint;
    open_end bigint;
    last_end bigint;
    first_at timestamptz;
    leaves boolean;
begin
    perform pg_advisory_xact_lock(7367470005);
    execute 'select last_value + is_called::integer from ' || numbers into next_id;
    select coalesce(max(substring(relname from '_(\d+)$')::bigint), 0) into last_end
    from pg_inherits join pg_class on oid = inhrelid where inhparent = 'public.audit_events'::regclass;
    open_end := next_id - next_id % width + width;
    select at into first_at from audit_events where id >= open_end - width and id < open_end order by id limit 1;
    leaves := last_end >= open_end + width and is_of_month_before(first_at, moment);
    while open_end + case when leaves then width else 0 end + width > last_end loop
        execute format('create table audit_events_to_%s (like audit_events including defaults including indexes)', last_end + width);
        execute format('alter table audit_events attach partition audit_events_to_%s for values from (%s) to (%s)',
            last_end + width, last_end, last_end + width);
        last_end := last_end + width;
        added := added + 1;
    end loop;
    if leaves then
        execute 'select last_value + is_called::integer from ' || numbers into next_id;
        if next_id < open_end - width / 40 then
            perform setval(numbers::regclass, open_end, false);
        end if;
    end if;
    return added;
end
$$;

create function add_audit_ranges() returns integer language sql security definer set search_path = public, pg_temp as $$
    select extend_audit_ranges()
$$;
-- Numbers jump when the month is over, not when somebody says another moment.
revoke all on function extend_message_ranges, extend_audit_ranges from public;

-- Where nobody looks after the ranges, those who write batches do, at each ten-thousandth: the range after the next one is missed
-- long before a number lies in it. A writer whose statement just then reads messages, or who would have to wait, leaves it to the next.
create function add_ranges_in_passing() returns void language plpgsql security definer
set search_path = public, pg_temp set lock_timeout = '100ms' as $$
begin
    perform extend_message_ranges();
exception when others then
    null;
end
$$;
create or replace function announce_batch_no() returns trigger language plpgsql as $$
begin
    perform set_config('sftp_gateway.batch_no', new.batch_no::text, true);
    if new.batch_no % 10000 = 0
        and to_regclass(format('attempts_to_%s', new.batch_no - new.batch_no % 4000000 + 8000000)) is null then
        perform add_ranges_in_passing();
    end if;
    return null;
end
$$;

-- The ranges that are attached: the name of each and of the table that it is of, from which number it goes and to which (the first
-- that isn't in it any more), and whether numbers lie behind it (`ended`), in it (`open`), or before it (`ahead`). The moments are those
-- of the first and the last batch, or audit event, by number; rows are estimated; bytes are those of rows, indexes and all.
create view record_ranges as
select r.table_name, r.name, r.from_no, r.to_no,
    case when r.to_no <= r.next_no then 'ended' when r.from_no <= r.next_no then 'open' else 'ahead' end as state,
    coalesce(first_batch.at, first_event.at) as first_at, coalesce(last_batch.at, last_event.at) as last_at,
    greatest(r.reltuples::bigint, pg_stat_get_live_tuples(r.oid)) as rows, pg_total_relation_size(r.oid) as bytes
from (
    select c.oid, c.reltuples, t.relname::text as table_name, c.relname::text as name, b.bounds[1] as from_no, b.bounds[2] as to_no,
        case when i.inhparent = 'audit_events'::regclass then (select last_value + is_called::integer from audit_events_id_seq)
            else (select last_value + is_called::integer from batches_batch_no_seq) end as next_no
    from pg_inherits i
    join pg_class c on c.oid = i.inhrelid
    join pg_class t on t.oid = i.inhparent
    cross join lateral (
        select regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \(''?(\d+)''?\) TO \(''?(\d+)''?\)')::bigint[] as bounds
    ) b
    where i.inhparent in ('messages'::regclass, 'attempts'::regclass, 'audit_events'::regclass)
) r
left join lateral (
    select created_at as at from batches
    where r.table_name <> 'audit_events' and batch_no >= r.from_no and batch_no < r.to_no order by batch_no limit 1
) first_batch on true
left join lateral (
    select created_at as at from batches
    where r.table_name <> 'audit_events' and batch_no >= r.from_no and batch_no < r.to_no order by batch_no desc limit 1
) last_batch on true
left join lateral (
    select at from audit_events
    where r.table_name = 'audit_events' and id >= r.from_no and id < r.to_no order by id limit 1
) first_event on true
left join lateral (
    select at from audit_events
    where r.table_name = 'audit_events' and id >= r.from_no and id < r.to_no order by id desc limit 1
) last_event on true;

select extend_message_ranges(), extend_audit_ranges();

-- step: transaction
-- What was written in months before stays in ranges of its own: numbers jump to those that the step before has attached.
select extend_message_ranges(), extend_audit_ranges();
