//! The component library: which command runs which component.
//!
//! A JSON file, `package.json` or any other, with the following at its top level or under the key `msgflo`:
//! ```json
//! { "namespace": "imageresize",
//!   "variables": {"BIN": "target/release"},
//!   "components": {
//!     "ResizeImage": "#BIN/imageresize resize --role #ROLE",
//!     "HttpApi": {"command": "#BIN/imageresize serve --roles #ROLES", "with": ["StoreResult"]}
//!   } }
//! ```
//! `with` names the components that the same process serves: their nodes get no process of their own.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use msgflo_core::{BoxError, ComponentName, Role};
use serde::Deserialize;

/// How a component is run.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "RawRecipe")]
pub struct Recipe {
    /// The command, with `#ROLE` and the like in it.
    pub command: String,
    /// Further components that the same process serves.
    pub with: Vec<ComponentName>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawRecipe {
    Command(String),
    Full {
        command: String,
        #[serde(default)]
        with: Vec<ComponentName>,
    },
}

impl From<RawRecipe> for Recipe {
    fn from(raw: RawRecipe) -> Self {
        match raw {
            RawRecipe::Command(command) => Self { command, with: Vec::new() },
            RawRecipe::Full { command, with } => Self { command, with },
        }
    }
}

/// A command to run, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    /// What a shell would be given.
    pub command: String,
    /// The folder that it is run in.
    pub folder: PathBuf,
}

/// As it would be typed.
impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.command)
    }
}

/// Which command runs which component.
#[derive(Clone, Debug, Default)]
pub struct Library {
    recipes: BTreeMap<ComponentName, Recipe>,
    variables: BTreeMap<String, String>,
    namespace: Option<String>,
    folder: PathBuf,
}

/// Why a library cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the component library {} cannot be read: {reason}", path.display())]
pub struct LibraryError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it, with line and column where it is not what it should be.
    pub reason: String,
    /// The cause underneath.
    #[source]
    pub source: Option<BoxError>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawLibrary {
    name: Option<String>,
    msgflo: Option<RawSection>,
    #[serde(flatten)]
    section: RawSection,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawSection {
    namespace: Option<String>,
    variables: BTreeMap<String, String>,
    components: BTreeMap<ComponentName, Recipe>,
}

impl Library {
    /// Reads the library file `path`.
    ///
    /// # Errors
    /// When there is no such file, or it is not a library.
    pub fn load(path: &Path) -> Result<Self, LibraryError> {
        let failed = |reason: String, source| LibraryError { path: path.to_owned(), reason, source };
        let text = std::fs::read_to_string(path)
            .map_err(|error| failed("the file cannot be read".into(), Some(error.into())))?;
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        Self::parse(&text, folder).map_err(|error| failed(error.to_string(), None))
    }

    /// Reads a library out of its text. Its commands are run in `folder`.
    ///
    /// # Errors
    /// When the text is not a library.
    pub fn parse(text: &str, folder: &Path) -> serde_json::Result<Self> {
        let raw: RawLibrary = serde_json::from_str(text)?;
        let section = raw.msgflo.unwrap_or(raw.section);
        let namespace = section.namespace.or(raw.name);
        let mut library =
            Self { variables: section.variables, namespace, folder: folder.to_owned(), ..Self::default() };
        for (name, mut recipe) in section.components {
            recipe.with = recipe.with.iter().map(|name| library.full_name(name)).collect();
            library.recipes.insert(library.full_name(&name), recipe);
        }
        Ok(library)
    }

    /// How the component is run, if it is in the library.
    pub fn recipe(&self, component: &ComponentName) -> Option<&Recipe> {
        self.recipes.get(&self.full_name(component))
    }

    /// Every component, by name. Those that are only served together with others are among them.
    pub fn components(&self) -> impl Iterator<Item = &ComponentName> {
        let served = self.recipes.values().flat_map(|recipe| &recipe.with);
        let served = served.filter(|component| !self.recipes.contains_key(*component));
        self.recipes.keys().chain(served)
    }

    /// The component whose process also serves `component`.
    pub fn host(&self, component: &ComponentName) -> Option<&ComponentName> {
        let component = self.full_name(component);
        let serves = |recipe: &Recipe| recipe.with.contains(&component);
        self.recipes.iter().find(|(_, recipe)| serves(recipe)).map(|(name, _)| name)
    }

    /// `name` with the library's namespace before it, unless it has one.
    pub fn full_name(&self, name: &ComponentName) -> ComponentName {
        match &self.namespace {
            Some(namespace) if !name.as_str().contains('/') => format!("{namespace}/{name}").into(),
            _ => name.clone(),
        }
    }

    /// The command that runs `recipe` for these roles, the first of which gives `#ROLE` and `#COMPONENT`.
    ///
    /// `#ROLES` becomes `Component=role,…` for all of them, `#IIPS` the initial packets as a JSON object by port.
    pub fn command(&self, recipe: &Recipe, roles: &[(Role, ComponentName)], initials: &str) -> CommandLine {
        let mut values: BTreeMap<&str, String> =
            self.variables.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        if let Some((role, component)) = roles.first() {
            let short = component.as_str().rsplit('/').next().unwrap_or_default();
            values.insert("ROLE", role.to_string());
            values.insert("COMPONENT", component.to_string());
            values.insert("COMPONENTNAME", short.to_owned());
        }
        let pairs: Vec<_> = roles.iter().map(|(role, component)| format!("{component}={role}")).collect();
        values.insert("ROLES", pairs.join(","));
        values.insert("IIPS", initials.to_owned());
        CommandLine { command: substitute(&recipe.command, &values), folder: self.folder.clone() }
    }
}

/// Replaces every `#NAME` that has a value; the longest name that fits wins.
fn substitute(template: &str, values: &BTreeMap<&str, String>) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some(start) = rest.find('#') {
        text.push_str(&rest[..start]);
        let after = &rest[start + 1..];
        let fits = values.iter().filter(|(name, _)| after.starts_with(**name));
        match fits.max_by_key(|(name, _)| name.len()) {
            Some((name, value)) => {
                text.push_str(value);
                rest = &after[name.len()..];
            }
            None => {
                text.push('#');
                rest = after;
            }
        }
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r##"{"name": "other", "msgflo": {"namespace": "ir", "variables": {"BIN": "out/bin"}, "components": {
        "Resize": "#BIN/ir resize --role #ROLE --what #COMPONENTNAME of #COMPONENT #1",
        "Http": {"command": "ir serve #ROLES", "with": ["Store"]}}}}"##;

    fn library() -> Library {
        Library::parse(TEXT, Path::new("here")).unwrap()
    }

    #[test]
    fn a_name_may_lack_the_namespace() {
        let library = library();
        assert!(library.recipe(&"Resize".into()).is_some());
        assert_eq!(library.recipe(&"Resize".into()), library.recipe(&"ir/Resize".into()));
        assert_eq!(library.recipe(&"other/Resize".into()), None);
        let names: Vec<_> = library.components().map(ComponentName::as_str).collect();
        assert_eq!(names, ["ir/Http", "ir/Resize", "ir/Store"]);
    }

    #[test]
    fn a_component_may_be_served_by_anothers_process() {
        let library = library();
        assert_eq!(library.host(&"ir/Store".into()), Some(&"ir/Http".into()));
        assert_eq!(library.host(&"ir/Resize".into()), None);
    }

    #[test]
    fn commands_are_filled_in() {
        let library = library();
        let recipe = library.recipe(&"Resize".into()).unwrap();
        let line = library.command(recipe, &[("small".into(), "ir/Resize".into())], "{}");
        assert_eq!(line.command, "out/bin/ir resize --role small --what Resize of ir/Resize #1");
        assert_eq!(line.folder, Path::new("here"));
        let recipe = library.recipe(&"ir/Http".into()).unwrap();
        let roles = [("web".into(), "ir/Http".into()), ("store".into(), "ir/Store".into())];
        assert_eq!(library.command(recipe, &roles, "{}").command, "ir serve ir/Http=web,ir/Store=store");
    }

    #[test]
    fn what_is_wrong_is_located() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("package.json");
        std::fs::write(&path, "{\"components\": {\n \"A\": 7}}").unwrap();
        let error = Library::load(&path).unwrap_err().to_string();
        assert!(error.contains("package.json") && error.contains("line 2"), "{error}");
        assert!(Library::load(&folder.path().join("none.json")).is_err());
    }
}
