"""TRIAL SIDE. The process of a trial: a job is composed, run and watched there. It knows nothing of sweep/slots."""
