"""What is searched: YAML and the command line become a space, a space becomes the overrides of a job."""
