-- Agencies and their people: who may create campaigns and own them, and who is a member of which. Campaigns belong to an agency and
-- to whoever created them; programs that know step 6 only go on as before, and what they create belongs to the agency `default`.
-- oldest program: 1

-- step: transaction
create table agencies (
    id text primary key,
    name text not null unique check (name <> ''),
    added_at timestamptz not null default now()
);

-- Whose addresses are an agency's: those of the domain itself, and of all domains below it.
create table agency_domains (
    domain text primary key check (domain = lower(domain)),
    agency_id text not null references agencies,
    -- Its people may be members of campaigns; they create and own none, unless ops have raised them one by one.
    member_only boolean not null default false
);
create index agency_domains_of_agency on agency_domains (agency_id);

create table users (
    id text primary key,
    email text not null unique check (email = lower(email)),
    -- Null: the address is of no agency that is known here.
    agency_id text references agencies,
    -- What campaigns of the command line belong to. Nobody logs in as it.
    is_service boolean not null default false,
    is_ops boolean not null default false,
    -- A person in charge of the agency.
    is_pic boolean not null default false,
    may_create boolean not null default false,
    added_at timestamptz not null default now(),
    check (not is_service or not (is_ops or is_pic or may_create))
);
create index users_of_agency on users (agency_id) where is_pic or may_create;

create table members (
    campaign_id text not null references campaigns,
    user_id text not null references users,
    role text not null check (role in ('owner', 'member', 'restricted')),
    added_at timestamptz not null default now(),
    primary key (campaign_id, user_id)
);
create index members_of_user on members (user_id);

-- Their ids are derived from their names, and known to the programs.
insert into agencies (id, name) values ('agency_9acfd89c-e451-59b9-9372-eedd1493ecd4', 'default');
insert into users (id, email, agency_id, is_service)
values ('user_c16fb742-cd06-57ec-b86f-9a837994aeee', 'service@localhost', 'agency_9acfd89c-e451-59b9-9372-eedd1493ecd4', true);

alter table campaigns
    add column agency_id text not null default 'agency_9acfd89c-e451-59b9-9372-eedd1493ecd4' references agencies,
    add column creator_id text not null default 'user_c16fb742-cd06-57ec-b86f-9a837994aeee' references users;
create index campaigns_of_agency on campaigns (agency_id, created_at desc);
