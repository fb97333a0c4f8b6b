-- name: prepare_session
-- Whoever waits for a lock looks again once it has it, and must see what the other one wrote: read committed, whatever
-- the server's default. And a machine that dies in the middle of a transaction closes nothing: its locks go when the
-- server misses it, after 30 s here, after two hours by most systems' default. (No effect on a local socket.)
-- No statement here runs for long enough to be worth compiling, and what the planner thinks of arrays would have some compiled.
select pg_backend_pid(),
       set_config('default_transaction_isolation', 'read committed', false),
       set_config('tcp_keepalives_idle', '15', false), set_config('tcp_keepalives_interval', '5', false),
       set_config('tcp_keepalives_count', '3', false), set_config('tcp_user_timeout', '30000', false),
       set_config('jit', 'off', false)

-- name: plan_anew
set local plan_cache_mode = force_custom_plan

-- name: write_a_mark
-- A COMMIT that has written nothing waits for no standby. This writes to the log, and to no table.
select pg_logical_emit_message(true, 'sftp-gateway', '')
