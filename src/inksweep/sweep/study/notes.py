"""Names of the notes on trials and studies, kept as user attributes: what the processes of a sweep tell each other."""

# On a study: what it is a search of.
DEFINITION = "inksweep:definition"
# It has gone on as another search: its trials are of several.
CHANGED = "inksweep:changed"
# The stop rules that it has had, in the order in which they were given: [{"metric": name or null, "value": number,
# "maximize": bool}, ...].
STOP_RULES = "inksweep:stop_rules"
# The sweeps, with their number of points, that it was warm-started from.
WARM_STARTS = "inksweep:warm_starts"

# On the study of a final stage, whose trainings are never pruned; on each of them: a digest of the search it was for,
# and of the parameters that it trained with.
FINAL = "inksweep:final"

# On a trial that ended without counting, because its process was lost or the sweep was interrupted: it is to be
# repeated with the same parameters under a new number. On its repetition: the number of the first one.
LOST = "inksweep:lost"
REPEATS = "inksweep:repeats"
# On a trial whose worker died, or that failed by a fault of the machine, once it is repeated: it does not count any
# more. On the repetition: how many workers have died of it; and whether the machine has failed it once.
RETRIED = "inksweep:retried"
ATTEMPT = "inksweep:attempt"
FAULTED = "inksweep:faulted"
# On a trial that came one too many, because another process was faster.
SURPLUS = "inksweep:surplus"
# On a trial that was taken out of the queue, because another process had queued its point at the same moment: the
# number of the one that stays.
QUEUED_TWICE = "inksweep:queued_twice"
# On a trial that was not run because its point was known: the number of the trial that it repeats.
COPIES = "inksweep:copies"
# Why a trial did not complete.
REASON = "inksweep:reason"
# That reason of a trial which was stopped because the search ended, and which is not repeated.
ENDED_WITH_SWEEP = "stopped"
# What a trial measured: name -> number.
METRICS = "inksweep:metrics"
# Who runs a trial, and how: {"id": of the process that asked, "host": its machine, "folder": its sweep directory there,
# "slot": number, "overrides": of the job}.
OWNER = "inksweep:owner"
# The sweep to a job: end at your next report; and why.
STOP = "inksweep:stop"
# The job to the sweep: it was to stop, for this reason, and has ended.
STOPPED = "inksweep:stopped"
# The number of the last report that a job expects to make.
TOTAL = "inksweep:total"
# On a trial that did not come from the sampler: enqueue, warm_start.
ORIGIN = "inksweep:origin"
