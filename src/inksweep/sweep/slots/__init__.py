"""SWEEP SIDE. The process of the sweep: jobs are handed out, and results come back. sweep/job is the other side."""
