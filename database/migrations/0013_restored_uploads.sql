-- Uploads that were entered again after a restore, with the outcome that the bucket knows of, and batches that wait since one, until ops
-- release or refuse them. Programs that know step 12 only go on as before: such an upload has its outcome, such a batch is held.
-- oldest program: 1

-- step: transaction
alter table uploads
    -- Why its outcome is held, and when it was decided: what it says may have been told and sent before the restore, and is told and
    -- sent again only if ops say so. Null: nothing is held.
    add column held jsonb;
alter table batches drop constraint batches_held_because_check;
alter table batches
    add constraint batches_held_because_check check (held_because in ('upgrade', 'stale', 'restored')) not valid;

-- step: alone
create index concurrently if not exists uploads_held on uploads (received_at) where held is not null;
