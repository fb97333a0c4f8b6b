"""PostgreSQL: connections, SQL files, the schema and its migrations, and the job queue. Knows no table of another room."""
