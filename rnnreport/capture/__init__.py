"""Second stage: run the model on the probe set and write down the states of its recurrent layers."""
