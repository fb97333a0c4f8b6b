-- What reads no more than it shows, though there are hundreds of thousands of campaigns. Programs that know step 15 only go on as before.
-- oldest program: 1

-- step: transaction
-- A sender's lanes in which something waits to leave, or to leave again, at this moment, whatever pauses there are. A sender of its
-- own has a few lanes, and each is looked at. The public channel has all other campaigns', most of them empty for years: what waits is
-- read by its indexes, a row for each lane that has any.
create function lanes_with_work(of_sender integer, moment timestamptz) returns setof lanes language sql stable as $$
with recursive size as (
    select count(*) <= 60 as is_small from (select from lanes where sender_id = of_sender limit 61) l
), waiting as (
    (select lane_id from batches where waiting and not (select is_small from size) order by lane_id limit 1)
    union all
    select n.lane_id from waiting w
    cross join lateral (select lane_id from batches where waiting and lane_id > w.lane_id order by lane_id limit 1) n
), again as (
    (
        select class, campaign_id from due where sender_id = of_sender and class < 3 and not (select is_small from size)
        order by class, campaign_id limit 1
    )
    union all
    select n.class, n.campaign_id from again a
    cross join lateral (
        select class, campaign_id from due
        where sender_id = of_sender and class < 3 and (class, campaign_id) > (a.class, a.campaign_id)
        order by class, campaign_id limit 1
    ) n
), found as (
    select w.lane_id from waiting w
    union
    select l.id from again a join lanes l on l.campaign_id = a.campaign_id and l.priority = a.class
    where exists (
        select from due d where d.sender_id = of_sender and d.class = a.class and d.campaign_id = a.campaign_id and d.at <= moment
    )
)
select l.* from found f cross join lateral (select * from lanes where id = f.lane_id offset 0) l where l.sender_id = of_sender
union all
select l.* from lanes l
where l.sender_id = of_sender and (select is_small from size) and (
    exists (select from batches b where b.lane_id = l.id and b.waiting)
    or exists (
        select from due d
        where d.sender_id = of_sender and d.class = l.priority and d.campaign_id = l.campaign_id and d.at <= moment
    )
)
$$;

-- As step 5 made it, but for the lanes that it looks at.
create or replace function claim_messages(
    of_sender integer, block integer, lead interval, head double precision, stale_after interval
)
returns table (
    now double precision, leaves_at double precision, batch_no integer, row_number integer, attempt smallint,
    priority smallint, segments smallint, recipient text, language text, "values" jsonb, encoding text
) language plpgsql set plan_cache_mode = force_generic_plan set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off as $$
#variable_conflict use_column
declare
    s senders;
    moment timestamptz;
    lane record;
    -- The candidates, in the order in which they are served: what each has waiting, and how many messages it gets.
    lane_ids integer[] := '{}';
    campaigns_of text[] := '{}';
    priorities smallint[] := '{}';
    starts double precision[] := '{}';
    due_counts integer[] := '{}';
    counts integer[] := '{}';
    shares integer[] := '{}';
    found integer;
    found_due integer;
    stale integer[];
    all_stale integer[] := '{}';
    chosen integer;
    quantum integer := (block + 7) / 8;
    rest integer := block;
    used integer := 0;
    -- What is claimed.
    of_lane integer[] := '{}';
    batch_nos integer[] := '{}';
    row_numbers integer[] := '{}';
    attempt_numbers smallint[] := '{}';
    sizes smallint[] := '{}';
    statuses smallint[] := '{}';
    chosen_due due[];
    new_lanes integer[];
    new_batches integer[];
    new_rows integer[];
    new_sizes smallint[];
    to_lock integer[];
    free_batches integer[];
    begin_at double precision;
    pace double precision;
begin
    select * into s from senders where id = of_sender for no key update;
    moment := clock_timestamp();
    if s.id is null or s.provider = 'none' then
        return;
    end if;
    if s.paused_since is not null then
        if s.paused_until is null or s.paused_until > moment then
            return;
        end if;
        update senders set paused_since = null, paused_because = null, paused_until = null where id = of_sender;
    end if;
    pace := s.rate * 0.985;
    if s.next_at > moment + lead and s.next_at <= moment + furthest_reserved(s.rate) then
        return;
    end if;

    for lane in
        select l.id, l.campaign_id, l.priority, greatest(l.virtual_time, s.virtual_times[l.priority + 1]) as start
        from lanes_with_work(of_sender, moment) l
        where l.paused_since is null and exists (select from campaigns c where c.id = l.campaign_id and c.status = 'active')
        order by l.priority, start, l.id
    loop
        exit when cardinality(lane_ids) >= 16
            or (rest <= 0 and lane.priority > priorities[cardinality(priorities)]);
        select coalesce(sum(left_over) filter (where not is_stale), 0), coalesce(array_agg(batch_no) filter (where is_stale), '{}')
        into found, stale
        from (
            select batch_no, cursor_row = 0 and released_at is null and created_at < moment - stale_after as is_stale,
                total_messages - retrying - enqueued - sending - sent - sent_to_telco - success - failure as left_over
            from batches where lane_id = lane.id and waiting order by batch_no limit block
        ) oldest;
        select count(*) into found_due from (
            select from due
            where sender_id = of_sender and class = lane.priority and campaign_id = lane.campaign_id and at <= moment
            limit block
        ) again;
        if stale <> '{}' then
            -- Where one is, others are: they are held many at once.
            all_stale := all_stale || array(
                select batch_no from batches
                where lane_id = lane.id and waiting and cursor_row = 0 and released_at is null and created_at < moment - stale_after
                order by batch_no limit 1000
            );
        end if;
        if found + found_due > 0 then
            lane_ids := lane_ids || lane.id;
            campaigns_of := campaigns_of || lane.campaign_id;
            priorities := priorities || lane.priority;
            starts := starts || lane.start;
            due_counts := due_counts || found_due;
            counts := counts || least(found + found_due, block);
            shares := shares || 0;
            rest := rest - found - found_due;
        end if;
    end loop;

    if all_stale <> '{}' then
        update batches set waiting = false, held_since = moment, held_because = 'stale'
        where batch_no in (
            select batch_no from batches
            where batch_no = any(all_stale) and waiting and cursor_row = 0 and released_at is null
            order by batch_no for no key update skip locked
        );
        get diagnostics found = row_count;
        -- Where somebody else holds them all, they are left for later.
        if lane_ids = '{}' and found > 0 then
            return query select * from claim_messages(of_sender, block, lead, head, stale_after);
            return;
        end if;
    end if;

    -- The block is shared out in parts: each goes to the lane of the best priority that has had least.
    rest := block;
    while rest > 0 loop
        chosen := 0;
        for i in 1..cardinality(lane_ids) loop
            if shares[i] < counts[i] and (
                chosen = 0 or (priorities[i] = priorities[chosen] and starts[i] + shares[i] < starts[chosen] + shares[chosen])
            ) then
                chosen := i;
            end if;
        end loop;
        exit when chosen = 0;
        found := least(counts[chosen] - shares[chosen], rest, case when cardinality(lane_ids) = 1 then block else quantum end);
        shares[chosen] := shares[chosen] + found;
        rest := rest - found;
    end loop;

    if exists (select from unnest(due_counts) n where n > 0) then
        select coalesce(array_agg(d.again), '{}') into chosen_due from (
            select d.again, sum(m.segments) over (order by g.place, (d.again).at, (d.again).row_number rows unbounded preceding)
                - m.segments as before
            from unnest(campaigns_of, priorities, shares) with ordinality g (campaign_id, priority, share, place)
            cross join lateral (
                select d as again from due d
                where d.sender_id = of_sender and d.class = g.priority and d.campaign_id = g.campaign_id and d.at <= moment
                order by d.at limit g.share
            ) d
            join messages m on m.batch_no = (d.again).batch_no and m.row_number = (d.again).row_number
        ) d where d.before < block;
        select array_agg(lane_place order by place), array_agg(batch_no order by place), array_agg(row_number order by place),
            array_agg(attempt order by place), array_agg(status order by place)
        into of_lane, batch_nos, row_numbers, attempt_numbers, statuses
        from (
            select a.batch_no, a.row_number, a.attempt, a.status, d.place,
                (select min(i) from generate_subscripts(lane_ids, 1) i
                    where campaigns_of[i] = d.campaign_id and priorities[i] = d.class) as lane_place
            from unnest(chosen_due) with ordinality
                d (at, sender_id, class, campaign_id, batch_no, row_number, attempt, tries, place)
            join attempts a using (batch_no, row_number, attempt)
            where a.status in (0, 1)
            order by a.batch_no, a.row_number, a.attempt for no key update of a skip locked
        ) free;
    end if;

    select array_agg(batch_no order by batch_no) into to_lock from (
        select unnest(batch_nos) as batch_no
        union
        select b.batch_no
        from unnest(lane_ids, shares) g (lane_id, share)
        cross join lateral (
            select batch_no from (
                select batch_no, sum(left_over) over (order by batch_no) - left_over as before
                from (
                    select batch_no, total_messages - retrying - enqueued - sending - sent - sent_to_telco - success - failure
                        as left_over
                    from batches where lane_id = g.lane_id and waiting and batch_no <> all(all_stale)
                    order by batch_no limit g.share
                ) oldest
            ) summed where before < g.share
        ) b
    ) of_both;
    -- Whoever records outcomes has a batch for milliseconds, whoever retries or stops half a million messages for seconds. Those
    -- are not waited for, as everything else of this sender would wait behind them, one-time passwords too.
    for tried in 1..20 loop
        select array_agg(batch_no) into free_batches from (
            select batch_no from batches where batch_no = any(to_lock) order by batch_no for no key update skip locked
        ) free;
        exit when free_batches is not distinct from to_lock;
        perform pg_sleep(0.005);
    end loop;
    to_lock := free_batches;
    if chosen_due is not null then
        select coalesce(array_agg(lane_place order by place), '{}'), coalesce(array_agg(batch_no order by place), '{}'),
            coalesce(array_agg(row_number order by place), '{}'), coalesce(array_agg(attempt order by place), '{}'),
            coalesce(array_agg(status order by place), '{}'), coalesce(array_agg(segments order by place), '{}'),
            coalesce(sum(segments), 0)
        into of_lane, batch_nos, row_numbers, attempt_numbers, statuses, sizes, used
        from (
            select k.*, m.segments
            from unnest(of_lane, batch_nos, row_numbers, attempt_numbers, statuses) with ordinality
                k (lane_place, batch_no, row_number, attempt, status, place)
            join messages m using (batch_no, row_number)
            where batch_no = any(to_lock)
        ) again;
        update attempts a set status = 2, updated_at = moment
        from unnest(batch_nos, row_numbers, attempt_numbers) k (batch_no, row_number, attempt)
        where a.batch_no = k.batch_no and a.row_number = k.row_number and a.attempt = k.attempt;
        -- Those claimed now, and those that needn't go any more; not those that somebody else holds.
        delete from due d using unnest(chosen_due) k
        where d.batch_no = k.batch_no and d.row_number = k.row_number and d.attempt = k.attempt and d.class < 3
            and exists (
                select from attempts a
                where a.batch_no = k.batch_no and a.row_number = k.row_number and a.attempt = k.attempt
                    and a.status not in (0, 1)
                offset 0
            );
    end if;
    if to_lock is null then
        return;
    end if;

    -- Each statement sees what was committed before it, so that what a stop has ended meanwhile isn't claimed.
    select array_agg(lane_place order by place), array_agg(batch_no order by place), array_agg(row_number order by place),
        array_agg(segments order by place)
    into new_lanes, new_batches, new_rows, new_sizes
    from (
        select *, row_number() over in_order as place, sum(segments) over in_order - segments as before
        from (
            select g.lane_place, r.batch_no, r.row_number, r.segments
            from unnest(lane_ids, shares) with ordinality g (lane_id, share, lane_place)
            cross join lateral (
                select b.batch_no, m.row_number, m.segments
                from (
                    select batch_no, cursor_row from batches
                    where lane_id = g.lane_id and waiting and batch_no = any(to_lock)
                    order by batch_no limit g.share
                ) b
                cross join lateral (
                    select row_number, segments from messages
                    where batch_no = b.batch_no and row_number > b.cursor_row
                    order by row_number limit g.share
                ) m
                order by b.batch_no, m.row_number
                limit greatest(0, g.share - (select count(*) from unnest(of_lane) taken where taken = g.lane_place))
            ) r
        ) shared
        window in_order as (order by lane_place, batch_no, row_number rows unbounded preceding)
    ) counted
    where used + before < block;

    insert into attempts (batch_no, row_number, attempt, status, created_at, updated_at)
    select n.batch_no, n.row_number, 1, 2, moment, moment from unnest(new_batches, new_rows) n (batch_no, row_number);
    of_lane := of_lane || new_lanes;
    batch_nos := batch_nos || new_batches;
    row_numbers := row_numbers || new_rows;
    sizes := sizes || new_sizes;
    attempt_numbers := attempt_numbers || array_fill(1::smallint, array[coalesce(cardinality(new_rows), 0)]);
    statuses := statuses || array_fill(null::smallint, array[coalesce(cardinality(new_rows), 0)]);
    if cardinality(batch_nos) = 0 then
        return;
    end if;

    update batches b
    set cursor_row = greatest(b.cursor_row, n.last_row), sending = b.sending + n.all_of_it,
        retrying = b.retrying - n.was_created, enqueued = b.enqueued - n.was_enqueued,
        waiting = b.waiting and n.fresh < b.total_messages - b.retrying - b.enqueued - b.sending - b.sent - b.sent_to_telco
            - b.success - b.failure
    from (
        select k.batch_no, max(k.row_number) filter (where k.status is null) as last_row, count(*) as all_of_it,
            count(*) filter (where k.status is null) as fresh, count(*) filter (where k.status = 0) as was_created,
            count(*) filter (where k.status = 1) as was_enqueued
        from unnest(batch_nos, row_numbers, statuses) k (batch_no, row_number, status)
        group by k.batch_no
    ) n
    where b.batch_no = n.batch_no;
    update lanes l set virtual_time = starts[n.lane_place] + n.segments
    from (
        select k.lane_place, sum(k.segments) as segments
        from unnest(of_lane, sizes) k (lane_place, segments) group by k.lane_place
    ) n
    where l.id = lane_ids[n.lane_place];
    for i in reverse cardinality(lane_ids)..1 loop
        -- The first of each priority has had least.
        if i = any(of_lane) then
            s.virtual_times[priorities[i] + 1] := greatest(s.virtual_times[priorities[i] + 1], starts[i]);
        end if;
    end loop;
    update senders set virtual_times = s.virtual_times, claimed_at = moment where id = of_sender;
    begin_at := reserve_time(of_sender, (select sum(n) from unnest(sizes) n)::integer, head);

    return query
    select extract(epoch from clock_timestamp())::double precision, begin_at + k.before / pace, k.batch_no, k.row_number,
        k.attempt, priorities[k.lane_place], k.segments, m.recipient, m.language, m."values", m.encoding
    from (
        select *, sum(k.segments) over in_order - k.segments as before
        from unnest(of_lane, batch_nos, row_numbers, attempt_numbers, sizes) with ordinality
            k (lane_place, batch_no, row_number, attempt, segments, place)
        window in_order as (order by k.lane_place, k.place rows unbounded preceding)
    ) k
    join messages m using (batch_no, row_number)
    order by k.before, k.lane_place, k.place;
end
$$;

-- step: alone
create index concurrently if not exists ssh_keys_of_campaign on ssh_keys (campaign_id, added_at)

-- step: alone
create index concurrently if not exists uploads_of_campaign_by_word
on uploads (
    campaign_id, upload_word(status, attempts, withdrawn_at, checked_at, checked is not null), received_at desc, id desc
)

-- step: alone
create index concurrently if not exists uploads_of_campaign_in_order on uploads (campaign_id, received_at desc, id desc)

-- step: alone
drop index concurrently if exists uploads_of_campaign

-- step: alone
create index concurrently if not exists uploads_interrupted
on uploads (received_at) where refusal_code = 'upload_interrupted' and object_key is not null

-- step: alone
create index concurrently if not exists campaigns_of_creator on campaigns (creator_id, created_at desc, id desc)

-- step: alone
create index concurrently if not exists campaign_visits_of_user on campaign_visits (user_id, opened_at desc, campaign_id)

-- step: alone
create index concurrently if not exists uploads_by_source on uploads (source, received_at desc, id desc)

-- step: alone
create index concurrently if not exists api_uses_limited on api_uses (last_at) where limited > 0
