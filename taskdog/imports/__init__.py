"""
Bring the data of taskdog's own server (PyPI: ``taskdog-server``) into this site, once.

Its database is another application's: other tables for the same tasks, and Alembic's revisions
where ours has Django's migrations. So it can't be restored; it is read, and its rows are written
as ours.

- ``revisions``: is this a database of that server, and of which revision?
- ``private_copy``: its bytes, with the rows of its WAL, where they can be opened without writing
  beside the original.
- ``source``: that copy, checked, as rows.
- ``cells``: one value as ours, and what had to be said about it.
- ``rows``, ``allocations``, ``dependencies``: rows as ours.
- ``remainder``: ids that were given once, and what there is no place for.
- ``services``: all of them into an empty store, in one transaction.
"""
