//! Waking: the doorbell of a session and how it is heard.
