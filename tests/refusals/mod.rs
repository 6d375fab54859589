//! One table a noun: what is refused, and the exact code, message and hint.
mod claim;
mod event;
mod memory;
mod message;
mod question;
mod state;
mod task;
