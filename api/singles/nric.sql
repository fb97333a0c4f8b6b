-- name: find_number
select number from nric_test_identifiers where identifier = $1
