"""Message logs: a row for each attempt of a campaign's or a batch's messages in some days, as CSV or XLSX (9-console.md).

In: what is asked for, and by whom as far as it matters (`rows.LogQuery`). Out: pieces of a file, which `files` writes as XLSX.
Delivery reports, with a row for each message, share the columns, the files and the rules about charges. Nothing is written here.
"""
