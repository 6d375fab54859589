//! Which build a program is: `doctor` asks all of them, since hooks and server of two installs do not belong together.

/// Returns the line a program without arguments of its own prints for `--version`, if that is what it was asked.
pub fn version_line_if_requested() -> Option<String> {
    let mut arguments = std::env::args_os();
    let program = arguments.next()?;
    let name = std::path::Path::new(&program)
        .file_name()?
        .to_string_lossy()
        .into_owned();
    (arguments.next()? == "--version").then(|| format!("{name} {}\n", env!("CARGO_PKG_VERSION")))
}
