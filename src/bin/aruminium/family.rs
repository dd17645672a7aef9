//! The crates that bind to Apple's libraries, and what each needs to be compiled on Linux.
//!
//! They are compiled with the `cfg` of an Apple system. Their `#[link(kind = "framework")]` attributes are
//! rewritten, because the compiler accepts the kind for Apple's targets only: `framework` becomes `dylib`, and
//! nothing else changes. A version that is not in the table is refused, and so is a source in which a framework is left.

/// A crate of the family.
struct Member {
    name: &'static str,
    /// The versions that are known to work, as beginnings of version numbers.
    versions: &'static [&'static str],
}

/// The arguments of `--cfg`. Linux stays set too.
pub(super) const CFGS: [&str; 2] = ["target_vendor=\"apple\"", "target_os=\"macos\""];

/// The `cfg` for this crate, also when Cargo queries the target's: with it, `objc2` is a dependency of the feature of that name.
pub(super) const OWN_CFG: &str = "aruminium_launcher";

/// The variable of the oldest system that a program runs on, and a version that has everything: `objc2` decides by it
/// at compile time whether to ask the system for its version.
pub(super) const DEPLOYMENT: (&str, &str) = ("MACOSX_DEPLOYMENT_TARGET", "26.0");

/// The crates of the `objc2` project besides frameworks, and the older crates.
const MEMBERS: &[Member] = &[
    Member { name: "objc2", versions: &["0.6."] },
    Member { name: "objc2_encode", versions: &["4."] },
    Member { name: NO_SCRIPT, versions: &["0.1."] },
    Member { name: "block2", versions: &["0.6."] },
    Member { name: "dispatch2", versions: &["0.3."] },
    Member { name: "objc", versions: &["0.2."] },
    Member { name: "block", versions: &["0.1."] },
    Member { name: "metal", versions: &["0.31.", "0.32.", "0.33."] },
    Member { name: "core_graphics_types", versions: &["0.1.", "0.2."] },
];

/// The member whose build script is replaced by an empty one: it compiles Objective-C, which only clang does for Apple's
/// runtime. The library has the function that it makes.
pub(super) const NO_SCRIPT: &str = "objc2_exception_helper";

/// The frameworks of the `objc2` project, which have one version.
const FRAMEWORK: Member = Member { name: "objc2_", versions: &["0.3."] };

/// Crates of the project that run while others are compiled. Their names begin like those of frameworks.
const TOOLS: &[&str] = &["objc2_proc_macros"];

/// Whether a crate is of the family.
///
/// # Errors
///
/// The version is not known.
pub(super) fn is_member(name: &str, version: &str) -> Result<bool, String> {
    if TOOLS.contains(&name) {
        return Ok(false);
    }
    let listed = MEMBERS.iter().find(|member| member.name == name);
    let Some(member) = listed.or_else(|| name.starts_with(FRAMEWORK.name).then_some(&FRAMEWORK))
    else {
        return Ok(false);
    };
    if !member.versions.iter().any(|known| version.starts_with(known)) {
        let known: Vec<_> = member.versions.iter().map(|known| format!("{known}x")).collect();
        return Err(format!(
            "the crate {name} {version} is of a version that this launcher does not know (it knows {}): use one of \
             those, or a newer aruminium",
            known.join(", ")
        ));
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::is_member;

    #[test]
    fn crates_are_known_by_name_and_version() {
        assert_eq!(is_member("objc2_metal", "0.3.2"), Ok(true));
        assert_eq!(is_member("metal", "0.33.0"), Ok(true));
        assert_eq!(is_member("serde", "1.0.0"), Ok(false));
        assert_eq!(is_member("objc2_proc_macros", "0.2.0"), Ok(false));
        let error = is_member("objc2_metal", "0.4.0").unwrap_err();
        assert!(error.contains("objc2_metal 0.4.0") && error.contains("0.3.x"), "{error}");
    }
}
