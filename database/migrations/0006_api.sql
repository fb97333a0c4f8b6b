-- The HTTP API: its keys and addresses, the calls that were admitted, what was answered under an Idempotency-Key; and uploads that
-- come by HTTP. Programs that know step 5 only go on as before: they judge no upload of the API (its `sha256` is null), and take
-- none for a twin of another.
-- oldest program: 1

-- step: transaction
create table api_keys (
    -- The 8 public characters of the key.
    prefix text primary key check (prefix ~ '^[A-Za-z0-9]{8}$'),
    campaign_id text not null references campaigns,
    -- SHA-256 of the whole key.
    digest bytea not null check (length(digest) = 32),
    name text not null default '',
    -- Who made it: an operating-system user at the command line.
    made_by text,
    made_at timestamptz not null default now(),
    deleted_at timestamptz
);
create index api_keys_of_campaign on api_keys (campaign_id);

alter table campaigns
    -- The API's own, apart from those of SFTP: at most 20, without one there is no key.
    add column api_addresses inet[] not null default '{}',
    -- Calls a second, where ops have set it.
    add column api_rate integer check (api_rate > 0),
    -- Whether single sends may name a recipient by NRIC.
    add column nric boolean not null default false;

-- The times of a campaign's newest admitted calls, oldest first, as many as its rate. After a crash it is empty, which costs nothing.
create unlogged table api_calls (
    campaign_id text primary key,
    recent timestamptz[] not null
) with (fillfactor = 50);

-- Decides calls that came together. `verdict`: `admitted`, `key` (no such key is in force), `campaign` (another one's path), `address`
-- (not an allowed one), `suspended` or `rate`. Of a campaign's calls the first ones are admitted, so many that no second holds more than
-- its rate: `at` is when; of one over the rate `until` is when the next may be. Who has room in `recent` is decided by whoever holds the
-- row's lock, by this database's clock, for all nodes alike; locks are taken in the order of the campaigns. Nothing else is written, so
-- that no commit waits for a disk. A digest is compared under a salt that is new each time: so the time which that takes tells nothing
-- about the digest that is kept.
create function admit_calls(
    prefixes text[], digests bytea[], paths text[], addresses text[], usual_rate integer, salt bytea
)
returns table (place integer, verdict text, campaign_id text, nric boolean, at timestamptz, until timestamptz)
-- A plan that was made while the tables were small would go on reading them whole. With these settings, and a limit for each row that
-- is looked up, there is but one way: by its primary key.
language plpgsql set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_bitmapscan = off as $$
#variable_conflict use_column
declare
    calling record;
    times timestamptz[];
    earlier integer;
    admitted integer;
    moment timestamptz;
begin
    for calling in
        select c.id, c.nric, coalesce(c.api_rate, usual_rate) as rate, judged.verdict,
            array_agg(a.place::integer order by a.place) as places
        from unnest(prefixes, digests, paths, addresses) with ordinality as a (prefix, digest, path, address, place)
        left join lateral (
            select campaign_id, digest from api_keys where prefix = a.prefix and deleted_at is null limit 1
        ) as k on true
        left join lateral (
            select id, status, api_addresses, api_rate, nric from campaigns where id = k.campaign_id limit 1
        ) as c on true,
        lateral (
            select case
                when c.id is null or c.status = 'deleted' or sha256(salt || a.digest) <> sha256(salt || k.digest) then 'key'
                when c.id <> a.path then 'campaign'
                when a.address::inet <> all (c.api_addresses) then 'address'
                when c.status <> 'active' then 'suspended'
                else 'admitted'
            end as verdict
        ) as judged
        group by 1, 2, 3, 4
        order by 1
    loop
        if calling.verdict <> 'admitted' then
            return query select p, calling.verdict, calling.id, calling.nric, clock_timestamp(), null::timestamptz
                from unnest(calling.places) as p;
            continue;
        end if;
        select recent into times from api_calls where campaign_id = calling.id for update;
        if not found then
            insert into api_calls values (calling.id, '{}') on conflict do nothing;
            select recent into times from api_calls where campaign_id = calling.id for update;
        end if;
        moment := clock_timestamp();
        if times[cardinality(times)] > moment then
            -- The clock was set back. The calls before that count as of now, so that nobody waits for the time which it skipped.
            times := array(select least(t, moment) from unnest(times) as t);
            update api_calls set recent = times where campaign_id = calling.id;
        end if;
        -- Call n gets in where it is among the first ones of all, or where the call which is as many before it as the rate says is
        -- longer ago than a second. Only those are looked at.
        earlier := cardinality(times) - calling.rate;
        admitted := least(cardinality(calling.places), greatest(0, -earlier)) + (
            select count(*) from unnest(times[greatest(1, earlier + 1):earlier + cardinality(calling.places)]) as t
            where t < moment - interval '1 second'
        )::integer;
        if admitted > 0 then
            times := times || array_fill(moment, array[admitted]);
            times := times[greatest(1, cardinality(times) - calling.rate + 1):];
            update api_calls set recent = times where campaign_id = calling.id;
        end if;
        return query
            select p, case when n <= admitted then 'admitted' else 'rate' end, calling.id, calling.nric, moment,
                case when n > admitted then times[greatest(1, cardinality(times) - calling.rate + 1)] + interval '1 second' end
            from unnest(calling.places) with ordinality as p (p, n);
    end loop;
end
$$;

-- What was answered under an Idempotency-Key: kept for 24 hours.
create table idempotency_keys (
    campaign_id text not null,
    key text not null,
    made_at timestamptz not null default now(),
    -- What says that a later request is the same one.
    fingerprint bytea not null,
    -- Of a batch send: its upload, whose outcome is the answer where none is kept yet.
    upload_id text,
    -- The answer. Null while the first request is under way.
    status smallint,
    answer bytea,
    primary key (campaign_id, key)
);
create index idempotency_keys_by_time on idempotency_keys (made_at);
create index idempotency_keys_of_uploads on idempotency_keys (upload_id) where upload_id is not null;

-- What the test environment takes for NRICs, and the numbers that they stand for. No real NRIC is ever stored.
create table nric_test_identifiers (
    identifier text primary key,
    number text not null,
    added_at timestamptz not null default now()
);

alter table uploads
    add column source text not null default 'sftp' check (source in ('sftp', 'api', 'console')),
    -- Hex; of an upload that did not come by SFTP, whose `sha256` is null: so no program takes it for a twin.
    add column content_sha256 text,
    -- The key of the advisory lock that the process holds which waits for the outcome. Once nobody holds it, nobody can be told of an
    -- acceptance any more, and nothing is accepted.
    add column waiter bigint,
    -- Nobody waited for the outcome any more: its status is `failed`, and it can't be judged anew.
    add column withdrawn_at timestamptz,
    -- The first findings, as the answer shows them.
    add column findings jsonb,
    -- The signed link to the report, as the answer shows it: the process that answers has no key that reads from the bucket.
    add column report_link text;

-- Cursors carry times in milliseconds, so that is what batches are ordered by. Programs that know step 5 don't give the time.
alter table batches alter column created_at set default date_trunc('milliseconds', now());
alter table messages alter column created_at set default date_trunc('milliseconds', now());

-- step: pieces
with piece as (
    select id, created_at from batches where id > $1 order by id limit $2
), cut as (
    update batches b set created_at = date_trunc('milliseconds', p.created_at)
    from piece p
    where b.id > $1 and b.id <= (select max(id) from piece)
        and b.id = p.id and p.created_at <> date_trunc('milliseconds', p.created_at)
)
select max(id) as position, count(*) as rows from piece

-- step: alone
-- The order of a campaign's messages is that of its batches, single sends among them. What a look through them needs besides never
-- changes, so that it reads no rows of the batches themselves.
create index concurrently batches_in_order on batches (campaign_id, created_at desc, id desc) include (batch_no, total_messages)

-- step: alone
drop index concurrently if exists batches_of_campaign
