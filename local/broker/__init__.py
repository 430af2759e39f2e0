"""A Service Bus-compatible broker: AMQP 1.0 over loopback TCP, queues in one SQLite file.

The real azure-servicebus SDK talks to it when the connection string ends in `UseDevelopmentEmulator=true;`.
Served: send, batch, schedule, cancel, peek-lock, receive-and-delete, complete, abandon, delivery count, dead letters,
lock renewal and lapse, time to live, duplicate detection. Left out: topics, sessions, deferral, peek, transactions, TLS
and the check of tokens.
"""
