"""What columns are made of, alike in every database."""

import sqlalchemy as sa

# SQLite compares text by its bytes; PostgreSQL would by the language of the database.
TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
