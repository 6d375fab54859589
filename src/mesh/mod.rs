//! What a session can do: every verb is one transaction, its event and the doorbell.
