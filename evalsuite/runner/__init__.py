"""One evaluation from start to finish: plan → generate and verify → summarise."""
