-- What became of a notification is a fact of the notification: it moves from `uploads` to `notifications`. The columns of
-- `uploads` stay, for ops and for programs that know step 1 only, and the database keeps them in step.
-- oldest program: 1

-- step: transaction
alter table notifications
    add column sent_at timestamptz,
    -- Refused for good, or given up.
    add column refused_at timestamptz,
    -- Why it was refused: a fixed text.
    add column error text;

-- An upload shows the end of its latest outcome's notification. A new outcome's notification has no end yet.
create function show_notification_end() returns trigger language plpgsql as $$
begin
    update uploads
    set notified_at = new.sent_at, notification_refused_at = new.refused_at, notification_error = new.error
    where id = new.upload_id and outcome = new.outcome
      and (notified_at, notification_refused_at, notification_error)
          is distinct from (new.sent_at, new.refused_at, new.error);
    return null;
end
$$;
create trigger notifications_end after insert or update of sent_at, refused_at, error on notifications
    for each row execute function show_notification_end();

-- Programs that know step 1 only write the end to `uploads`. To be dropped by a migration whose oldest program is 2.
create function keep_notification_end() returns trigger language plpgsql as $$
begin
    update notifications
    set sent_at = new.notified_at, refused_at = new.notification_refused_at, error = new.notification_error
    where upload_id = new.id and outcome = new.outcome
      and (sent_at, refused_at, error)
          is distinct from (new.notified_at, new.notification_refused_at, new.notification_error);
    return null;
end
$$;
create trigger uploads_notification_end after update of notified_at, notification_refused_at on uploads
    for each row when (new.notified_at is not null or new.notification_refused_at is not null)
    execute function keep_notification_end();

-- step: pieces
-- The ends that were written before. An earlier outcome's end was overwritten by the next one's; the audit trail has it.
with piece as (
    select id, outcome, notified_at, notification_refused_at, notification_error
    from uploads where id > $1 order by id limit $2
), carried as (
    update notifications n
    set sent_at = p.notified_at, refused_at = p.notification_refused_at, error = p.notification_error
    from piece p
    -- The range keeps the planner to the index: it would read all notifications for each piece otherwise.
    where n.upload_id > $1 and n.upload_id <= (select max(id) from piece)
      and n.upload_id = p.id and n.outcome = p.outcome and n.sent_at is null and n.refused_at is null
      and (p.notified_at is not null or p.notification_refused_at is not null)
)
select max(id) as position, count(*) as rows from piece

-- step: alone
-- The support desk looks uploads up by what the agency was told.
create index concurrently uploads_by_support_id on uploads (support_id) where support_id is not null
