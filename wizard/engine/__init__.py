"""The five verbs (observe, plan, apply, verify, undo) for one step and for many. The engine knows no step by name."""
