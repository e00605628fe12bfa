"""rnnreport: one self-contained HTML report of a recurrent network's hidden states."""

__version__ = "0.1.0"
