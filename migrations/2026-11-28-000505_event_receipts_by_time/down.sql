DROP INDEX event_receipts_received;
