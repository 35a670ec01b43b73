"""The five verbs, observe, plan, apply, verify and undo, for one step and for many. The engine knows no step by name."""
