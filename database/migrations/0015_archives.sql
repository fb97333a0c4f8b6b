-- Ranges of messages that have left the database for the bucket, as Parquet files, and can be brought back. Programs that know step 14
-- only go on as before: to them an archived message isn't there.
-- oldest program: 1

-- step: transaction
create table archives (
    -- The first of its tables, such as messages_to_4000000.
    name text primary key,
    kind text not null check (kind in ('messages')),
    -- Its batch numbers: from, and before.
    begins bigint not null,
    ends bigint not null,
    -- sealed: it is in the database, and its files are being written; archived: it is in the bucket alone; restored: it is in the
    -- database again, and its files still lie in the bucket.
    state text not null check (state in ('sealed', 'archived', 'restored')),
    -- Its files are written anew each time that it is archived: they lie under this number.
    generation integer not null default 1,
    -- From when to when what is in it was made.
    first_at timestamptz not null,
    last_at timestamptz not null,
    sealed_at timestamptz not null,
    -- When something of it changed since it was sealed, so that its files may lack that.
    touched_at timestamptz,
    archived_at timestamptz,
    restored_at timestamptz,
    unique (kind, ends)
);

-- A file of an archive, which was read back from the bucket and found to be what the table had.
create table archive_files (
    archive text not null references archives,
    generation integer not null,
    -- The table whose rows it has.
    holds text not null,
    number integer not null,
    object_key text not null,
    sha256 text not null,
    bytes bigint not null,
    rows bigint not null,
    -- The first and the last message of it: of files of attempts, those of the messages beside them.
    first_batch_no integer not null,
    first_row integer not null,
    last_batch_no integer not null,
    last_row integer not null,
    primary key (archive, generation, holds, number)
);

-- What the attempts of an archive come to, as `usage_days` counts them: a recount goes on from here.
create table archived_usage (
    archive text not null references archives,
    campaign_id text not null,
    day date not null,
    destination text not null,
    outcome text not null,
    own_expiry boolean not null,
    encoding text not null,
    attempts bigint not null,
    segments bigint not null,
    primary key (archive, campaign_id, day, destination, outcome, own_expiry, encoding)
);
create index archived_usage_of_campaign on archived_usage (campaign_id);

-- The partitioned tables whose ranges of one number are archived together.
create function archive_parents(kind text) returns text[] language sql immutable parallel safe
return case kind when 'messages' then array['messages', 'attempts'] end;

-- Something of a sealed range changes: its files must be written anew before it may leave.
create function note_touched_archive() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
    update archives set touched_at = clock_timestamp() where name = tg_argv[0] and touched_at is null;
    return null;
end
$$;

-- What speaks against archiving the batches from `begins` on and before `ends`, when they were made, and when the last of them ended. Of
-- each kind one batch is named: without an end, with one since `ended_before`, with something due, and not counted by an upgrade yet.
create function archive_obstacles(
    begins bigint, ends bigint, ended_before timestamptz, out batches bigint, out first_at timestamptz, out last_at timestamptz,
    out ended_at timestamptz, out unfinished text, out ended_lately text, out due text, out uncounted text
)
language sql stable security definer set search_path = public, pg_temp as $$
with found as (
    select count(*) as batches, min(created_at) as first_at, max(created_at) as last_at, max(finished_at) as ended_at,
        min(batch_no) filter (where finished_at is null) as unfinished,
        min(batch_no) filter (where finished_at >= archive_obstacles.ended_before) as ended_lately,
        min(batch_no) filter (where not usage_counted) as uncounted
    from batches where batch_no >= archive_obstacles.begins and batch_no < archive_obstacles.ends
), waiting as (
    select min(batch_no) as due from due where batch_no >= archive_obstacles.begins and batch_no < archive_obstacles.ends
)
select f.batches, f.first_at, f.last_at, f.ended_at, (select id from batches where batch_no = f.unfinished),
    (select id from batches where batch_no = f.ended_lately), (select id from batches where batch_no = w.due),
    (select id from batches where batch_no = f.uncounted)
from found f cross join waiting w
$$;

-- From now on a change of the range is noticed. Returns the number under which its files are to lie.
create function seal_archive(kind text, begins bigint, ends bigint, first_at timestamptz, last_at timestamptz)
returns integer language plpgsql security definer set search_path = public, pg_temp as $$
declare
    parent text;
    named text := (archive_parents(kind))[1] || '_to_' || ends;
    sealed integer;
begin
    -- Whoever has changed the range, and isn't done, is waited for, and who changes it next waits behind this.
    perform set_config('lock_timeout', '3s', true);
    foreach parent in array archive_parents(kind) loop
        if not exists (
            select from pg_inherits join pg_class c on c.oid = inhrelid
            where inhparent = ('public.' || parent)::regclass and c.relname = parent || '_to_' || ends
        ) then
            raise exception 'there is no range %', parent || '_to_' || ends;
        end if;
        execute format(
            'create or replace trigger touched after insert or update or delete on %I for each row'
            ' execute function note_touched_archive(%L)', parent || '_to_' || ends, named
        );
    end loop;
    insert into archives as a (name, kind, begins, ends, state, first_at, last_at, sealed_at)
    values (named, seal_archive.kind, seal_archive.begins, seal_archive.ends, 'sealed', seal_archive.first_at,
        seal_archive.last_at, clock_timestamp())
    on conflict (name) do update
    set state = 'sealed', generation = a.generation + 1, first_at = excluded.first_at, last_at = excluded.last_at,
        sealed_at = excluded.sealed_at, touched_at = null
    where a.state <> 'archived'
    returning generation into sealed;
    delete from archived_usage where archive = named;
    return sealed;
end
$$;

-- It stays in the database: something speaks against archiving it after all.
create function unseal_archive(archive text) returns void language plpgsql security definer set search_path = public, pg_temp as $$
begin
    delete from archived_usage u where u.archive = unseal_archive.archive;
    update archives set state = 'restored' where name = archive and state = 'sealed' and archived_at is not null;
    if not found then
        delete from archive_files f using archives a
        where f.archive = unseal_archive.archive and a.name = f.archive and a.state = 'sealed';
        delete from archives where name = archive and state = 'sealed';
    end if;
end
$$;

-- Counts what the attempts of a sealed range come to; returns the last day that they were counted on.
create function count_archived_usage(archive text) returns date language plpgsql security definer
set search_path = public, pg_temp as $$
#variable_conflict use_column
declare
    a archives;
begin
    select * into strict a from archives where name = count_archived_usage.archive and state = 'sealed';
    delete from archived_usage u where u.archive = a.name;
    insert into archived_usage (archive, campaign_id, day, destination, outcome, own_expiry, encoding, attempts, segments)
    select a.name, campaign_id, day, destination, outcome, own_expiry, encoding, count(*), sum(segments) from (
        select b.campaign_id, usage_day(t.sent_at, t.claimed_at, t.created_at) as day,
            case when m.recipient like '65%' then 'local' else 'foreign' end as destination,
            case when l.batch_no is null then attempt_outcome(t.status, t.error) else l.outcome end as outcome,
            case when l.batch_no is null then t.status = 6 and t.expired else l.own_expiry end as own_expiry, m.encoding, m.segments
        from attempts t
        join messages m using (batch_no, row_number)
        join batches b using (batch_no)
        left join late_outcomes l using (batch_no, row_number, attempt)
        where t.batch_no >= a.begins and t.batch_no < a.ends and m.batch_no >= a.begins and m.batch_no < a.ends
            and t.status >= 4 and b.usage_counted
    ) o
    where outcome is not null
    group by 2, 3, 4, 5, 6, 7;
    return (select max(day) from archived_usage u where u.archive = a.name);
end
$$;

-- A sealed range whose files are in the bucket leaves the database, in one transaction; returns its state then. It stays `sealed` where
-- it was touched. Nobody waits behind it for long: it gives up, with lock_not_available, where others hold the tables.
create function finish_archive(archive text) returns text language plpgsql security definer set search_path = public, pg_temp as $$
declare
    a archives;
    parent text;
begin
    select * into strict a from archives where name = archive;
    if a.state = 'sealed' then
        -- Who is in an old range is waited for, and a vacuum of it makes way after a second. Then all who use messages wait, but briefly.
        perform set_config('lock_timeout', '3s', true);
        foreach parent in array archive_parents(a.kind) loop
            execute format('lock table %I in access exclusive mode', parent || '_to_' || a.ends);
        end loop;
        perform set_config('lock_timeout', '300ms', true);
        foreach parent in array archive_parents(a.kind) loop
            execute format('lock table only %I in access exclusive mode', parent);
        end loop;
        select * into strict a from archives where name = archive for update;
        if a.touched_at is null then
            foreach parent in array archive_parents(a.kind) loop
                execute format('drop table %I', parent || '_to_' || a.ends);
            end loop;
            update archives set state = 'archived', archived_at = clock_timestamp(), restored_at = null where name = archive;
            return 'archived';
        end if;
    end if;
    return a.state;
end
$$;

-- Tables for the rows of an archive, which nobody sees yet and whoever calls this may fill. What an earlier try has left is dropped.
create function begin_restore(archive text) returns void language plpgsql security definer set search_path = public, pg_temp as $$
declare
    a archives;
    parent text;
    part text;
begin
    select * into strict a from archives where name = archive and state = 'archived' for update;
    foreach parent in array archive_parents(a.kind) loop
        part := parent || '_to_' || a.ends;
        execute format('drop table if exists %I', part);
        -- Their indexes are built when all rows are there.
        execute format('create table %I (like %I including defaults including constraints)', part, parent);
        if session_user <> current_user then
            execute format('grant select, insert on %I to %I', part, session_user);
        end if;
    end loop;
end
$$;

-- The rows of the archive are in the database again, all at one moment. Writers and readers go on meanwhile.
create function finish_restore(archive text) returns void language plpgsql security definer set search_path = public, pg_temp as $$
declare
    a archives;
    parent text;
    part text;
    found bigint;
begin
    select * into strict a from archives where name = archive and state = 'archived' for update;
    foreach parent in array archive_parents(a.kind) loop
        part := parent || '_to_' || a.ends;
        execute format('select count(*) from %I', part) into found;
        if found is distinct from (
            select coalesce(sum(rows), 0) from archive_files
            where archive_files.archive = a.name and generation = a.generation and holds = parent
        ) then
            raise no_data_found using message = format('%s has %s rows, and its files others', part, found);
        end if;
        if session_user <> current_user then
            execute format('revoke all on %I from %I', part, session_user);
        end if;
        execute format('alter table %I attach partition %I for values from (%s) to (%s)', parent, part, a.begins, a.ends);
        execute format('analyze %I', part);
    end loop;
    delete from archived_usage u where u.archive = a.name;
    update archives set state = 'restored', restored_at = clock_timestamp() where name = a.name;
end
$$;

-- These run with their owner's rights.
revoke execute on function note_touched_archive(), archive_obstacles(bigint, bigint, timestamptz),
    seal_archive(text, bigint, bigint, timestamptz, timestamptz), unseal_archive(text), count_archived_usage(text),
    finish_archive(text), begin_restore(text), finish_restore(text) from public;

-- The totals of a campaign that aren't what its attempts come to, those archived among them, all read in one snapshot. Only counts leave
-- it, so that whoever may call it need not be let read any number or text.
create or replace function usage_differences(
    campaign text, out day date, out destination text, out outcome text, out own_expiry boolean, out encoding text,
    out counted_attempts bigint, out counted_segments bigint, out found_attempts bigint, out found_segments bigint
)
returns setof record language plpgsql volatile security definer set search_path = public, pg_temp as $$
#variable_conflict use_column
begin
    -- From now on no range leaves or comes back. The next statement sees what was committed before.
    lock table only messages, only attempts in access share mode;
    return query
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
        select day, destination, outcome, own_expiry, encoding, sum(attempts)::bigint as attempts, sum(segments)::bigint as segments
        from (
            select day, destination, outcome, own_expiry, encoding, count(*) as attempts, sum(segments) as segments
            from outcomes where outcome is not null group by 1, 2, 3, 4, 5
            union all
            select u.day, u.destination, u.outcome, u.own_expiry, u.encoding, u.attempts, u.segments
            from archived_usage u join archives h on h.name = u.archive and h.state = 'archived'
            where u.campaign_id = usage_differences.campaign
        ) both_of
        group by 1, 2, 3, 4, 5
    ), counted as (
        select day, destination, outcome, own_expiry, encoding, attempts, segments from usage_days
        where campaign_id = usage_differences.campaign and (attempts, segments) is distinct from (0::bigint, 0::bigint)
    )
    select day, destination, outcome, own_expiry, encoding,
        coalesce(c.attempts, 0), coalesce(c.segments, 0), coalesce(f.attempts, 0), coalesce(f.segments, 0)
    from counted c full join found f using (day, destination, outcome, own_expiry, encoding)
    where (c.attempts, c.segments) is distinct from (f.attempts, f.segments)
    order by 1, 2, 3, 4, 5;
end
$$;
revoke execute on function usage_differences(text) from public;
