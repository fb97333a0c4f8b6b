"""Commands about people: agencies, users, members of campaigns."""
