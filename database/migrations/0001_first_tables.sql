-- The tables of the gateway. Their names are a contract: ops, tests and the sending core read them.
-- Public identifiers carry their type (campaign_…, upload_…, batch_…), so they are text wherever they stand.
-- oldest program: 1

-- step: transaction

create table campaigns (
    id text primary key check (id ~ '^[A-Za-z0-9_-]{3,64}$'),
    name text not null,
    channel text not null default 'public' check (channel in ('public', 'internal')),
    header text not null,
    notify_email text not null,
    status text not null default 'active' check (status in ('active', 'suspended', 'deleted')),
    allowed_sources cidr[] not null default '{}',
    created_at timestamptz not null default now(),
    suspended_at timestamptz,
    deleted_at timestamptz
);

create table template_bodies (
    campaign_id text not null references campaigns,
    language text not null check (language in ('english', 'chinese', 'malay', 'tamil')),
    body text not null,
    -- The order in which the languages were given at creation: the first is the campaign's own.
    position smallint not null,
    primary key (campaign_id, language)
);

create table ssh_keys (
    id bigint generated always as identity primary key,
    campaign_id text not null references campaigns,
    fingerprint text not null,
    algorithm text not null,
    public_key text not null,
    label text not null default '',
    added_at timestamptz not null default now(),
    revoked_at timestamptz
);
create unique index ssh_keys_in_force on ssh_keys (campaign_id, fingerprint) where revoked_at is null;
create index ssh_keys_by_fingerprint on ssh_keys (fingerprint) where revoked_at is null;

create table host_key_fingerprints (
    fingerprint text primary key,
    algorithm text not null,
    public_key text not null,
    added_at timestamptz not null default now(),
    retired_at timestamptz
);

create table uploads (
    id text primary key,
    campaign_id text not null references campaigns,
    file_name text not null,
    status text not null check (status in ('received', 'validating', 'accepted', 'rejected', 'failed')),
    bytes bigint not null,
    -- Hex; null where no bytes were stored.
    sha256 text,
    -- What the client set as the file's own time, given back in listings.
    modified_at timestamptz,
    -- Whether the agency's own listing still shows it.
    listed boolean not null default true,
    object_key text,
    -- 128 random bits, drawn at receipt: the report's name cannot be guessed.
    report_name text not null,
    report_key text,
    source_address inet,
    connection_id text,
    received_at timestamptz not null,
    deciding_since timestamptz,
    attempts integer not null default 0,
    finished_at timestamptz,
    -- Counts the outcomes: a retried or released upload gets another one, and another e-mail.
    outcome integer not null default 0,
    -- A reason known before any row was read: file_too_large, file_not_csv, upload_interrupted.
    refusal_code text,
    -- Refused, but only counted in the next e-mail that sums up: the hour's single e-mails were used up.
    untold boolean not null default false,
    error_reason text,
    batch_id text,
    total_messages integer,
    duplicate_of text references uploads,
    num_rows integer,
    num_errors integer,
    has_avoidable_character boolean,
    has_unicode boolean,
    support_id text,
    notified_at timestamptz,
    notification_refused_at timestamptz,
    notification_error text,
    check (status <> 'accepted' or batch_id is not null),
    check (status <> 'failed' or support_id is not null),
    check ((status in ('received', 'validating')) = (finished_at is null))
);
create index uploads_of_campaign on uploads (campaign_id, received_at desc);
create index uploads_by_time on uploads (received_at desc);
create index uploads_undecided on uploads (campaign_id) where finished_at is null;
create index uploads_untold on uploads (campaign_id) where untold;
create index uploads_by_content on uploads (campaign_id, sha256) where sha256 is not null;

-- What an agency is to be told: written with the outcome, in one transaction, and never changed after it. A job of
-- the same id (upload_id.outcome, the Message-ID's local part too) sends it.
create table notifications (
    upload_id text not null references uploads,
    outcome integer not null,
    status text not null check (status in ('accepted', 'rejected', 'failed')),
    facts jsonb not null,
    created_at timestamptz not null default now(),
    -- Sent, refused for good, or given up.
    done_at timestamptz,
    primary key (upload_id, outcome)
);
create index notifications_undone on notifications (created_at) where done_at is null;

create table batches (
    id text primary key,
    campaign_id text not null references campaigns,
    upload_id text not null unique references uploads,
    original_file_name text not null,
    status text not null default 'messages_enqueued',
    total_messages integer not null check (total_messages > 0),
    created_at timestamptz not null default now()
);
create index batches_of_campaign on batches (campaign_id, created_at desc);

-- One key only, growing within a batch: half a million rows are copied in here in one transaction, while a night
-- job waits. For the same reason no foreign key: the batch row is written in that same transaction.
-- A message's public id is derived: the version 5 UUID of its batch and row number.
create table messages (
    batch_id text not null,
    row_number integer not null,
    recipient text not null,
    language text not null,
    "values" jsonb not null,
    segments smallint not null,
    encoding text not null,
    status text not null default 'created',
    created_at timestamptz not null default now(),
    primary key (batch_id, row_number)
);

-- Kept for ever: admin actions; logins, uploads and refusals of known campaigns; the steps of each upload.
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
);
create index audit_events_of_upload on audit_events (upload_id, id) where upload_id is not null;
create index audit_events_of_campaign on audit_events (campaign_id, id) where campaign_id is not null;

-- Whoever loses access loses it at once: every front listens here and ends the sessions concerned.
create function announce_campaign_change() returns trigger language plpgsql as $$
begin
    perform pg_notify('sftp_gateway_access', new.id);
    return null;
end
$$;
create function announce_key_change() returns trigger language plpgsql as $$
begin
    perform pg_notify('sftp_gateway_access', new.campaign_id);
    return null;
end
$$;
create trigger campaigns_access after update of status, allowed_sources on campaigns
    for each row execute function announce_campaign_change();
create trigger ssh_keys_access after update of revoked_at on ssh_keys
    for each row execute function announce_key_change();
