"""The network as a state machine: a few states, what leads from one to another, and how far it can be trusted."""

from __future__ import annotations

from rnnreport.analyses.machine.build import MachineParams, state_machine

__all__ = ["MachineParams", "state_machine"]
