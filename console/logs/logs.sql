-- name: count_expected
-- About how many rows a campaign's log has: attempts with an outcome, or messages of batches of those days where these are more. It looks at so
-- many batches at most: beyond that the log is large anyway, or its attempts are counted already. Where $6 names a user, only batches of
-- that one are counted, those without a creator being of the user $7: the totals of attempts tell what everybody has sent.
select greatest(
    (select coalesce(sum(attempts), 0) from usage_days where campaign_id = $1 and day between $2 and $3 and $6::text is null),
    (
        select coalesce(sum(total_messages), 0) from (
            select total_messages from batches
            where campaign_id = $1 and created_at >= $4 and created_at < $5 and ($6 is null or coalesce(creator_id, $7) = $6)
            limit 100000
        ) b
    )
)::bigint
