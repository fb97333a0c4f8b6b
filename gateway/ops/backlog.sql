-- name: fetch_jobs
-- A job put back for later is as old as the time at which it may run again.
select entrypoint, status::text as status, count(*) as jobs,
    coalesce(max(extract(epoch from now() - greatest(created, execute_after)))
        filter (where status = 'queued' and execute_after <= now()), 0)::float8 as oldest_seconds
from pgqueuer
group by entrypoint, status;

-- name: fetch_undecided
select count(*) as uploads, coalesce(max(extract(epoch from now() - received_at)), 0)::float8 as oldest_seconds
from uploads
where finished_at is null;

-- name: fetch_untold
-- Refusals that one e-mail sums up have no notification of their own: they aren't waited for.
select count(*) as uploads, coalesce(max(extract(epoch from now() - created_at)), 0)::float8 as oldest_seconds
from notifications
where done_at is null;
