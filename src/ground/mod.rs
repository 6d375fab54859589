//! Clock, ids, paths, settings, processes: what everything stands on.
