"""Run folders: the record of one evaluation, and where it is picked up again."""
