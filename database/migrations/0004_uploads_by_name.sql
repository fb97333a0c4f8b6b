-- A STAT, a removal, a resumed upload and the sweep of unfinished ones look an upload up by its name, which read every upload of the
-- campaign. Programs that know step 3 only are served by the index too.
-- oldest program: 1

-- step: alone
create index concurrently uploads_by_name on uploads (campaign_id, file_name, received_at desc)
