"""The Textual front end: draws what the engine tells, asks what it asks, and sends it to work. Knows no step."""
