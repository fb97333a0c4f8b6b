"""The schema's history: numbered files of steps, forward only, each safe while the program before it still runs.

A file `0002_some_name.sql` begins with what it does and with a line `-- oldest program: 1`: the oldest program that may start on
the schema from this migration's first step on. A program is named by the last migration that it knows. Then come the steps, each
behind a line of its own:

`-- step: transaction`
    Statements that are carried out together, in one transaction, which also writes down that the step is done.
`-- step: alone`
    One statement that PostgreSQL refuses inside a transaction, such as `create index concurrently`. It must be safe to repeat.
`-- step: pieces`
    One statement that is repeated until nothing is left, each time in a transaction of its own. It is given `$1`, the position
    (a text) at which the piece before ended, empty at first, and `$2`, how many rows a piece has. It returns one row: `position`,
    where this piece ended, null when nothing was left; and `rows`, how many rows it went through. It reaches every table by an
    index, whatever the planner knows of the table: a whole table read for each piece would make the back-fill take for ever.
"""
