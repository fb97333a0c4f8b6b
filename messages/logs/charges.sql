-- name: list_other_expiries
-- In which months, and to which numbers, a campaign's reports have expiries of our own that are not charged, or are, as $2 says.
select distinct to_char(r.month, 'YYYY-MM ') || l.destination as month
from billing_report_campaigns c
join billing_reports r on r.id = c.report_id
join billing_report_lines l on l.report_id = c.report_id and l.campaign_id = c.campaign_id
where c.campaign_id = $1 and l.own_expiry and l.charged <> $2
