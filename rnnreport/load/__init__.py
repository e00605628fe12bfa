"""First stage: a user's model, weights and corpus, read with care and refused with a reason."""
