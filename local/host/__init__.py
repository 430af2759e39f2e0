"""A small Functions host: dispatches from the app's own registrations to the app's own callables.

Triggers served as the real host serves them: Service Bus queues (peek-lock, one message a call), timers, blobs with
Event Grid as source, HTTP. Known differences: a timer fires on every host (the real host elects one), and
`functionTimeout` ends no call (the message's lock is given up after the renewal time instead).
"""
