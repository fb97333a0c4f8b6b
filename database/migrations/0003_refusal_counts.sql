-- Of the uploads that a campaign has refused by names and sizes without end, only some an hour leave rows and e-mails of their own.
-- The rest are counted here, until the e-mail that sums them up takes the counts out again. Programs that know step 2 only go on
-- marking rows of `uploads` as untold, which the same e-mail counts too.
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
