-- name: fetch_prices
select valid_from, local_mills, foreign_mills, added_at from prices order by valid_from

-- name: insert_price
insert into prices (valid_from, local_mills, foreign_mills) values ($1, $2, $3) on conflict do nothing returning valid_from
