"""Golden requests: what each door of the product answers, and the check that it still does.

`cases` lists the requests, `doors` puts one through a door, `golden.json` holds the answers, and
`test_doors.py` compares. `python -m tests.doors.record` writes the answers again.
"""
