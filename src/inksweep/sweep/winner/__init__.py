"""What is made of the result: the final stage, which is best, winner/."""
