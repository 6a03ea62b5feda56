"""The Kafka side: records, ledger, settlement and the embedded broker."""
