-- name: is_service
select is_service from users where email = $1
