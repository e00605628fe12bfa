"""Small nets, embedded tasks and the training loop of ``rnnreport demo``. The only part that needs no input at all."""
