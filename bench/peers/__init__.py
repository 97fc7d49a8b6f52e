"""What the peers of plugpy serve: the same bodies, each written as its own documentation shows.

Nothing here imports plugpy. Pages: `/` says "Hello Plug!", `/users/:id` is an object as JSON,
and POST `/` answers with the number of bytes of the body.
"""
