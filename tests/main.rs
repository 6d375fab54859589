//! All black-box tests are one program; each module says what belongs there.
