//! Prints the version of hooks and server, so that `doctor` finds programs of two installs that are mixed.

/// Returns the line to print for `--version`, if that is the first argument. For programs without other arguments.
pub fn version_line_if_requested() -> Option<String> {
    let mut arguments = std::env::args_os();
    let program = arguments.next()?;
    let name = std::path::Path::new(&program)
        .file_name()?
        .to_string_lossy()
        .into_owned();
    (arguments.next()? == "--version").then(|| format!("{name} {}\n", env!("CARGO_PKG_VERSION")))
}
