//! Keeping: all SQL of the project lives here.
