"""
The fault suite: real workers, a real broker and a real Redis, harmed by seed, and nothing lost (promise P7).

`python -m tests.fault --seeds 20` runs scenarios and prints what was done and what differed afterwards.
"""
