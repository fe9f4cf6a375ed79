"""The worker's side: claim an execution, run it in a process of its own, keep its promises.

`supervisor` claims, forks and watches; `runner` is what the forked process does: it goes through
the steps with `loop` and `staged`, each chunk committed with its checkpoint and the proof of the
lease. `recover` takes back what a dead process left behind.
"""
