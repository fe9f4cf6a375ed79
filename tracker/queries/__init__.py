"""What each screen asks of the database, and how it is put into words."""
