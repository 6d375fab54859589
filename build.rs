//! Links the hooks and the server statically where the C library allows it. A hook runs for a millisecond at each prompt, tool
//! call and turn, and the dynamic linker took a third of that.
//!
//! `target-feature=+crt-static` would do the same, but for all programs alike. Those that look up names of hosts have to stay
//! dynamic, because glibc loads its name services at run time. So the linker finds, for the other programs alone, a script in
//! place of each shared library, which names the static one.
use std::path::{Path, PathBuf};
use std::process::Command;

/// The programs that look up no names of hosts.
const STATIC_PROGRAMS: [&str; 6] = [
    "inbox-poll",
    "claim-guard",
    "session-start",
    "session-end",
    "inbox-wait",
    "server",
];
/// The libraries that programs are linked with, and their static forms.
const LIBRARIES: [(&str, &str); 3] = [
    ("libc.so", "libc.a"),
    ("libm.so", "libm.a"),
    ("libgcc_s.so", "libgcc_eh.a"),
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is_glibc =
        variable("CARGO_CFG_TARGET_OS") == "linux" && variable("CARGO_CFG_TARGET_ENV") == "gnu";
    if !is_glibc || variable("HOST") != variable("TARGET") {
        return;
    }
    let folder = PathBuf::from(variable("OUT_DIR")).join("static");
    if write_scripts(&folder).is_none() {
        println!(
            "cargo::warning=hooks start slower than they could, because the C compiler has no static libraries"
        );
        return;
    }
    for program in STATIC_PROGRAMS {
        for argument in ["-static-pie".to_owned(), format!("-L{}", folder.display())] {
            println!("cargo::rustc-link-arg-bin=claude-mesh-{program}={argument}");
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "cargo tells a build script its target in the environment"
)]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// Writes the scripts in place of the shared libraries. Returns `None` if there is not a static one for each.
fn write_scripts(folder: &Path) -> Option<()> {
    std::fs::create_dir_all(folder).ok()?;
    static_library("rcrt1.o")?;
    for (shared, of_static) in LIBRARIES {
        let library = static_library(of_static)?;
        std::fs::write(
            folder.join(shared),
            format!("GROUP ( {} )\n", library.display()),
        )
        .ok()?;
    }
    Some(())
}

/// Returns the path of a file of the C compiler.
fn static_library(name: &str) -> Option<PathBuf> {
    let configured = Some(variable("RUSTC_LINKER")).filter(|linker| !linker.is_empty());
    let asked = Command::new(configured.as_deref().unwrap_or("cc"))
        .arg(format!("-print-file-name={name}"))
        .output();
    let path = PathBuf::from(String::from_utf8(asked.ok()?.stdout).ok()?.trim());
    // A compiler that does not have it prints the bare name.
    Some(path).filter(|path| path.is_absolute() && path.exists())
}
