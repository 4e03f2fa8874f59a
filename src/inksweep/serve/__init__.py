"""`inksweep serve`: winners over HTTP, and a page to draw on.

What reads pictures is handed in (`reading.reader.Reader`). A request passes guard.py, which refuses what must not come
in; routes.py takes it apart with bodies.py; batching.py puts the digits of all requests into one forward.
"""
