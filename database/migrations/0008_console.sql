-- The console: how people log in, what they are in the middle of, who is connected by SFTP, and what pages follow live. Programs that
-- know step 7 only go on as before: what comes by the console they neither judge nor withdraw.
-- oldest program: 1

-- step: transaction
-- Codes that were asked for, also by addresses that may not log in: they get none, and can't tell. Kept a day, to count them.
create table login_codes (
    -- SHA-256 of the cookie of the browser that asked: a code is good in no other.
    browser bytea primary key check (length(browser) = 32),
    -- HMAC of the address, and of address and code, under the server's secret.
    email_hash bytea not null,
    code_hash bytea not null,
    -- Null: nobody may log in by that address.
    email text,
    source_address inet,
    tries smallint not null default 0,
    asked_at timestamptz not null default now(),
    expires_at timestamptz not null,
    used_at timestamptz
);
create index login_codes_of_email on login_codes (email_hash, asked_at);
create index login_codes_of_source on login_codes (source_address, asked_at);
create index login_codes_by_time on login_codes (asked_at);

create table console_sessions (
    id text primary key,
    -- SHA-256 of the cookie.
    digest bytea not null unique check (length(digest) = 32),
    user_id text not null references users,
    source_address inet,
    -- What the browser says it is, cut short.
    browser text not null default '',
    began_at timestamptz not null default now(),
    last_active_at timestamptz not null default now(),
    -- When a code was last given: some actions want a fresh one.
    code_at timestamptz not null default now(),
    ends_at timestamptz not null,
    ended_at timestamptz,
    -- Sentences to be shown on the next page.
    flash jsonb not null default '[]'
);
create index console_sessions_of_user on console_sessions (user_id, began_at desc);
create index console_sessions_by_end on console_sessions (ends_at);

-- Forms that were sent: a second click on the same one changes nothing, and leads to where the first one led. Kept a day.
create table console_forms (
    id text primary key check (length(id) between 16 and 64),
    user_id text not null references users,
    location text,
    sent_at timestamptz not null default now()
);
create index console_forms_by_time on console_forms (sent_at);

-- Campaigns that are being made, step by step.
create table campaign_drafts (
    id text primary key,
    user_id text not null references users,
    document jsonb not null default '{}',
    changed_at timestamptz not null default now()
);
create index campaign_drafts_of_user on campaign_drafts (user_id, changed_at desc);

-- When somebody last opened a campaign.
create table campaign_visits (
    user_id text not null references users,
    campaign_id text not null references campaigns,
    opened_at timestamptz not null default now(),
    primary key (user_id, campaign_id)
);

-- A sentence of ops that every page shows. At most one row.
create table console_banner (
    is_only boolean primary key default true check (is_only),
    sentence text not null check (sentence <> ''),
    set_by text not null references users,
    set_at timestamptz not null default now()
);

-- Who is connected by SFTP, over all nodes. A front renews its rows; those that it doesn't renew are of one that is gone.
create unlogged table sftp_sessions (
    connection_id text primary key,
    campaign_id text not null,
    fingerprint text,
    source_address inet,
    began_at timestamptz not null default now(),
    seen_at timestamptz not null default now(),
    -- Of the upload that is under way; never its name.
    receiving_bytes bigint
);
create index sftp_sessions_of_campaign on sftp_sessions (campaign_id);

-- What an API key, or a key that isn't in force, was used for, from which address. Counted in memory, written every few seconds.
create table api_uses (
    prefix text not null,
    source_address inet not null,
    campaign_id text not null,
    last_at timestamptz not null,
    admitted bigint not null default 0,
    unauthorized bigint not null default 0,
    forbidden bigint not null default 0,
    limited bigint not null default 0,
    primary key (prefix, source_address, campaign_id)
);
create index api_uses_of_campaign on api_uses (campaign_id, last_at desc);

alter table uploads
    -- The user who sent it by the console, or made the API key that did; without a reference, since that would read the whole table here.
    add column creator_id text,
    -- The file was received, or checked, and waits to be checked, or to be sent or forgotten. Until then it has failed to programs of the
    -- release before, from its receipt on, so that they neither judge nor withdraw it.
    add column checked_at timestamptz,
    -- What the check found: counts by language and the like, and who has asked for its sending. Null until its verdict.
    add column checked jsonb;
alter table batches
    -- The user who made it by the console or by an API key of the user's; null: the campaign's creator.
    add column creator_id text;
alter table api_keys
    -- Null: the campaign's creator.
    add column creator_id text references users;

-- What people are told of an upload's status, see processing/uploads.py: to the database, one that was withdrawn, or is of the console
-- and not decided, has failed.
create function upload_status(u uploads) returns text language sql immutable as $$
    select case when u.withdrawn_at is not null then 'withdrawn' when u.checked_at is null then u.status
                when u.checked is not null then 'checked' when u.attempts > 0 then 'validating' else 'received' end
$$;

-- Pages that are open follow what changes. Each is told an id, and reads the row itself.
create function announce_upload_to_console() returns trigger language plpgsql as $$
begin
    perform pg_notify('sftp_gateway_console', 'upload ' || new.campaign_id || ' ' || new.id);
    return null;
end
$$;
create trigger uploads_console_insert after insert on uploads
    for each row execute function announce_upload_to_console();
create trigger uploads_console_update after update on uploads
    for each row when (
        (old.status, old.finished_at, old.withdrawn_at, old.checked_at, old.checked, old.notified_at, old.notification_refused_at)
        is distinct from
        (new.status, new.finished_at, new.withdrawn_at, new.checked_at, new.checked, new.notified_at, new.notification_refused_at)
    ) execute function announce_upload_to_console();

-- Whoever loses a right loses the pages that are open by it.
create function announce_user_to_console() returns trigger language plpgsql as $$
begin
    perform pg_notify('sftp_gateway_console', 'user ' || new.id);
    return null;
end
$$;
create trigger users_console after update on users for each row execute function announce_user_to_console();
create function announce_user_of_to_console() returns trigger language plpgsql as $$
begin
    perform pg_notify('sftp_gateway_console', 'user ' || coalesce(new.user_id, old.user_id));
    return null;
end
$$;
create trigger members_console after insert or update or delete on members
    for each row execute function announce_user_of_to_console();
create trigger console_sessions_console after update of ended_at on console_sessions
    for each row execute function announce_user_of_to_console();

-- step: alone
create index concurrently if not exists audit_events_of_event on audit_events (event, id);

-- step: alone
create index concurrently if not exists audit_events_of_actor on audit_events (actor, id) where actor is not null;

-- step: alone
create index concurrently if not exists uploads_checked on uploads (checked_at) where checked_at is not null;

-- step: alone
create index concurrently if not exists uploads_of_creator on uploads (creator_id, received_at desc) where creator_id is not null;

-- step: alone
-- What a campaign's list of batches shows, however many single sends lie between them.
create index concurrently if not exists batches_of_campaign_listed on batches (campaign_id, created_at desc, id desc) where kind = 'batch';
