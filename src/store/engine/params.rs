//! The values of a statement. They are bound to a statement of SQLite by rusqlite itself; a database server gets a list.
use rusqlite::types::ToSql;

/// The values of a statement as a list.
pub(in crate::store) enum Values<'a> {
    /// `?1`, `?2` and so on.
    Positional(&'a [&'a dyn ToSql]),
    /// `:name`.
    Named(&'a [(&'a str, &'a dyn ToSql)]),
}

/// What the values of a statement can be given as: an array of values of one type, `params!` or `named_params!`.
pub(in crate::store) trait Params: rusqlite::Params {
    /// Calls `with` with the values as a list.
    fn list<T>(&self, with: impl FnOnce(Values<'_>) -> T) -> T;
}

/// The only implementation for an empty array, so that `[]` has a type.
impl Params for [&(dyn ToSql + Send + Sync); 0] {
    fn list<T>(&self, with: impl FnOnce(Values<'_>) -> T) -> T {
        with(Values::Positional(&[]))
    }
}

impl Params for &[&dyn ToSql] {
    fn list<T>(&self, with: impl FnOnce(Values<'_>) -> T) -> T {
        with(Values::Positional(self))
    }
}

impl Params for &[(&str, &dyn ToSql)] {
    fn list<T>(&self, with: impl FnOnce(Values<'_>) -> T) -> T {
        with(Values::Named(self))
    }
}

macro_rules! impl_params_for_arrays {
    ($($count:literal)*) => {$(
        impl<V: ToSql> Params for [V; $count] {
            fn list<T>(&self, with: impl FnOnce(Values<'_>) -> T) -> T {
                with(Values::Positional(&self.each_ref().map(|value| value as &dyn ToSql)))
            }
        }
    )*};
}
impl_params_for_arrays!(1 2 3 4);
