//! The nouns: plain data and pure rules.
