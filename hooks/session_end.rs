//! Door, under construction.
fn main() {}
