-- Ranges of audit events leave the database for the bucket, and come back, as those of messages do. Programs that know step 16 only go
-- on as before: to them an archived event isn't there.
-- oldest program: 1

-- step: transaction
alter table archives
    drop constraint archives_kind_check,
    add constraint archives_kind_check check (kind in ('messages', 'audit_events'));
-- The first and the last event of a file of audit events, which has no messages.
alter table archive_files
    add column first_id bigint,
    add column last_id bigint,
    alter column first_batch_no drop not null,
    alter column first_row drop not null,
    alter column last_batch_no drop not null,
    alter column last_row drop not null;

create or replace function archive_parents(kind text) returns text[] language sql immutable parallel safe
return case kind when 'messages' then array['messages', 'attempts'] when 'audit_events' then array['audit_events'] end;

-- What is asked of old events by others than people who read the trail, copied when the range leaves that has them: with which key an
-- upload came; of each campaign why it was suspended last, and of each of its keys the last login. While a range is in the database,
-- an event may be there and here.
create table kept_events (
    id bigint primary key,
    at timestamptz not null,
    event text not null,
    campaign_id text,
    upload_id text,
    actor text,
    source_address inet,
    details jsonb not null default '{}'
);
create index kept_events_of_upload on kept_events (upload_id, id) where event = 'upload_received';
create index kept_events_of_suspensions on kept_events (campaign_id, id) where event = 'campaign_suspended';
create index kept_events_of_logins on kept_events (campaign_id, actor, id) where event = 'login_accepted';

create function keep_archived_events(archive text) returns void language plpgsql security definer
set search_path = public, pg_temp as $$
declare
    a archives;
begin
    select * into strict a from archives
    where name = keep_archived_events.archive and kind = 'audit_events' and state = 'sealed';
    delete from kept_events where id >= a.begins and id < a.ends;
    insert into kept_events (id, at, event, upload_id, actor)
    select id, at, event, upload_id, actor from audit_events
    where id >= a.begins and id < a.ends and event = 'upload_received' and upload_id is not null and actor is not null;
    insert into kept_events (id, at, event, campaign_id, actor, source_address, details)
    select e.id, e.at, e.event, e.campaign_id, e.actor, e.source_address, e.details
    from audit_events e
    join (
        select max(id) as id from audit_events
        where id >= a.begins and id < a.ends and campaign_id is not null
            and (event = 'campaign_suspended' or event = 'login_accepted' and actor is not null)
        -- People suspend, keys log in.
        group by event, campaign_id, case event when 'login_accepted' then actor end
    ) newest using (id)
    where e.id >= a.begins and e.id < a.ends;
    -- Of these only the newest of all ranges is ever asked for.
    delete from kept_events o
    where o.event = 'campaign_suspended' and exists (
        select from kept_events n where n.event = 'campaign_suspended' and n.campaign_id = o.campaign_id and n.id > o.id
    );
    delete from kept_events o
    where o.event = 'login_accepted' and exists (
        select from kept_events n
        where n.event = 'login_accepted' and n.campaign_id = o.campaign_id and n.actor = o.actor and n.id > o.id
    );
end
$$;
revoke execute on function keep_archived_events(text) from public;
