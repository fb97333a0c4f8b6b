-- Of the uploads that a campaign has refused by names and sizes without end, only some an hour leave rows and e-mails of their own.
-- The rest are counted here, until the e-mail that sums them up takes the counts out again. Programs that know step 2 only go on
-- marking rows of `uploads` as untold, which the same e-mail counts too.
-- And whoever takes an upload holds what lets its sender in, without a right to change it, which a lock by itself would take.
-- oldest program: 1

-- step: transaction
create table refusal_counts (
    campaign_id text not null references campaigns,
    -- The full hour, UTC, in which they were refused.
    hour timestamptz not null,
    -- file_too_large, file_not_csv or upload_interrupted.
    code text not null,
    refusals bigint not null check (refusals > 0),
    primary key (campaign_id, hour, code)
);

-- What lets a campaign in by these keys, locked until the transaction ends against every change, whoever makes it and however; no
-- row where the campaign isn't active. It runs with its owner's rights. The keys are asked by a statement of their own, which sees
-- what was committed while the campaign's row was waited for.
create function hold_access(of_campaign text, of_fingerprints text[])
returns table (id text, name text, allowed_sources cidr[], fingerprints text[])
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    held record;
begin
    select c.id, c.name, c.allowed_sources into held
    from public.campaigns c where c.id = of_campaign and c.status = 'active' for share;
    if not found then
        return;
    end if;
    return query
        select held.id, held.name, held.allowed_sources, coalesce(array_agg(k.fingerprint), '{}') from (
            select fingerprint from public.ssh_keys
            where campaign_id = of_campaign and fingerprint = any(of_fingerprints) and revoked_at is null
            for share
        ) k;
end
$$;
