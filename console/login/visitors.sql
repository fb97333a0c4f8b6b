-- name: fetch_banner
select sentence from console_banner
