"""Who somebody is: codes by e-mail, sessions, and what a fresh code is asked for."""
