//! Components that are files of a folder.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use atomic_write_file::AtomicWriteFile;

/// What runs a file, by its extension.
const HANDLERS: [(&str, &str); 6] = [
    (".yml", "msgflo register --forever --role #ROLE:#FILENAME"),
    (".js", "msgflo-nodejs --name #ROLE #FILENAME"),
    (".coffee", "msgflo-nodejs --name #ROLE #FILENAME"),
    (".py", "msgflo-python #FILENAME #ROLE"),
    (".json", "noflo-runtime-msgflo --name #ROLE --graph #COMPONENT --iips #IIPS"),
    (".fbp", "noflo-runtime-msgflo --name #ROLE --graph #COMPONENT --iips #IIPS"),
];
/// The languages of sources, as editors call them, with their extensions.
const LANGUAGES: [(&str, &str); 8] = [
    ("python", "py"),
    ("coffeescript", "coffee"),
    ("javascript", "js"),
    ("c++", "cpp"),
    ("rust", "rs"),
    ("yaml", "yml"),
    ("json", "json"),
    ("fbp", "fbp"),
];
/// The longest source that is written, in bytes.
const MAX_SOURCE: usize = 1 << 20;

/// The handlers that there are without a word.
pub(super) fn default_handlers() -> BTreeMap<String, String> {
    HANDLERS.iter().map(|(extension, command)| ((*extension).to_owned(), (*command).to_owned())).collect()
}

/// The program that the handler of a file calls, and how to install it.
pub(super) fn hint(program: &str) -> Option<&'static str> {
    match program {
        "msgflo-nodejs" => Some("npm install -g msgflo-nodejs"),
        "msgflo-python" => Some("pip install ./sdk/python, from this project's sources"),
        "noflo-runtime-msgflo" => Some("npm install -g noflo-runtime-msgflo"),
        _ => None,
    }
}

/// The files of `folder` that a handler runs: component names, without a namespace, and paths.
pub(super) fn scan(
    folder: &Path,
    handlers: &BTreeMap<String, String>,
) -> io::Result<BTreeMap<String, PathBuf>> {
    let mut files = BTreeMap::new();
    let entries = match std::fs::read_dir(folder) {
        // It is made with the first source that is written.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(files),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        let (Some(stem), Some(extension)) =
            (path.file_stem().and_then(|stem| stem.to_str()), path.extension().and_then(|it| it.to_str()))
        else {
            continue;
        };
        let is_component =
            handlers.contains_key(&format!(".{extension}")) && is_name(stem) && stem != "package";
        if is_component && path.is_file() {
            files.insert(stem.to_owned(), path);
        }
    }
    Ok(files)
}

/// What distinguishes a file from what it was: its length and when it was changed. `None`: it is not there.
pub(super) fn fingerprint(path: &Path) -> Option<(u64, SystemTime)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.len(), metadata.modified().ok()?))
}

/// The language of a file.
pub(super) fn language(path: &Path) -> &'static str {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    LANGUAGES.iter().find(|(_, known)| *known == extension).map_or("text", |(language, _)| language)
}

/// Why a source is not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The library has no folder for sources.
    #[error("there is no component folder: say --componentdir")]
    NoFolder,
    /// The name could lead out of the folder, or is no name.
    #[error("`{0}` is no name for a component: letters, digits, `_` and `-` are allowed after the namespace")]
    BadName(String),
    /// The name is in a namespace that is not this library's.
    #[error("`{0}` is not in this library's namespace")]
    ForeignName(String),
    /// No extension is known for the language.
    #[error("sources in `{0}` cannot be run: there is no handler for them")]
    UnknownLanguage(String),
    /// It is longer than is allowed.
    #[error("a source may have {MAX_SOURCE} bytes at most")]
    TooLong,
    /// The file could not be written.
    #[error("the source cannot be written")]
    Io(#[from] io::Error),
}

/// Writes a component's source, as a whole, into `folder`.
pub(super) fn write(
    folder: &Path,
    name: &str,
    language: &str,
    code: &str,
    handlers: &BTreeMap<String, String>,
) -> Result<(), SourceError> {
    if !is_name(name) {
        return Err(SourceError::BadName(name.to_owned()));
    }
    if code.len() > MAX_SOURCE {
        return Err(SourceError::TooLong);
    }
    let extension = LANGUAGES.iter().find(|(known, _)| *known == language.to_ascii_lowercase());
    let extension =
        extension.map(|(_, extension)| *extension).filter(|it| handlers.contains_key(&format!(".{it}")));
    let Some(extension) = extension else { return Err(SourceError::UnknownLanguage(language.to_owned())) };
    std::fs::create_dir_all(folder)?;
    let mut file = AtomicWriteFile::open(folder.join(format!("{name}.{extension}")))?;
    file.write_all(code.as_bytes())?;
    file.commit()?;
    // One in another language would be the same component.
    let others =
        handlers.keys().map(|handler| handler.trim_start_matches('.')).filter(|other| *other != extension);
    for other in others {
        match std::fs::remove_file(folder.join(format!("{name}.{other}"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    // Without it a loss of power could bring the old ones back.
    std::fs::File::open(folder)?.sync_all()?;
    Ok(())
}

/// Whether a name can only mean a file of the folder itself.
fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    !name.is_empty() && name.len() <= 100 && name.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["../x", "a/b", "/etc/x", "..", ".hidden", "a.b", "", "a\0b", "a b", "C:x"] {
            let written = write(folder.path(), name, "python", "pass", &default_handlers());
            assert!(matches!(written, Err(SourceError::BadName(_))), "{name}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(matches!(
            write(folder.path(), "a", "cobol", "", &default_handlers()),
            Err(SourceError::UnknownLanguage(_))
        ));
        write(folder.path(), "Format_1", "Python", "pass", &default_handlers()).unwrap();
        let files = scan(folder.path(), &default_handlers()).unwrap();
        assert_eq!(files.keys().collect::<Vec<_>>(), ["Format_1"]);
        write(folder.path(), "Format_1", "javascript", "//", &default_handlers()).unwrap();
        let files = scan(folder.path(), &default_handlers()).unwrap();
        assert_eq!(files["Format_1"], folder.path().join("Format_1.js"), "the one in Python is it no longer");
    }
}
