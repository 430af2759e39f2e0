"""Everything that runs the app on one machine: never imported by the app, never deployed."""
