//! The component library: which command runs which component.
//!
//! A JSON file, `package.json` or any other, with the following at its top level or under the key `msgflo`:
//! ```json
//! { "namespace": "imageresize",
//!   "variables": {"BIN": "target/release"},
//!   "handlers": {".lua": "#BIN/run-lua #FILENAME #ROLE"},
//!   "components": {
//!     "ResizeImage": "#BIN/imageresize resize --role #ROLE",
//!     "HttpApi": {"command": "#BIN/imageresize serve --roles #ROLES", "with": ["StoreResult"],
//!                 "description": "takes jobs", "icon": "globe", "inports": [], "outports": ["resizeimage"]}
//!   } }
//! ```
//! `with` names the components that the same process serves: their nodes get no process of their own. The ports tell editors
//! what they cannot learn from a participant, as long as none has announced itself. The files of a component folder are
//! components too, run by the handler of their extension.

mod sources;
mod template;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use msgflo_core::{BoxError, ComponentName, Port, Role};
use serde::Deserialize;
use serde::de::Error as _;

pub use sources::SourceError;

/// How a component is run.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(try_from = "RawRecipe")]
pub struct Recipe {
    /// The command, with `#ROLE` and the like in it.
    pub command: String,
    /// Further components that the same process serves.
    pub with: Vec<ComponentName>,
    /// One line on what it does.
    pub description: Option<String>,
    /// An icon's name.
    pub icon: Option<String>,
    /// Its inports, if the library tells.
    pub inports: Vec<Port>,
    /// Its outports, if the library tells.
    pub outports: Vec<Port>,
    /// Its source, if it is a file of the component folder.
    pub file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawRecipe {
    Command(String),
    Full(FullRecipe),
}

#[derive(Deserialize)]
struct FullRecipe {
    command: String,
    #[serde(default)]
    with: Vec<ComponentName>,
    description: Option<String>,
    icon: Option<String>,
    #[serde(default)]
    inports: Vec<RawPort>,
    #[serde(default)]
    outports: Vec<RawPort>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawPort {
    Name(String),
    Full(Port),
}

impl From<RawPort> for Port {
    fn from(raw: RawPort) -> Self {
        match raw {
            RawPort::Name(name) => Self::new(name, None),
            RawPort::Full(port) => port,
        }
    }
}

impl TryFrom<RawRecipe> for Recipe {
    type Error = &'static str;

    fn try_from(raw: RawRecipe) -> Result<Self, Self::Error> {
        let ports = |ports: Vec<RawPort>| ports.into_iter().map(Port::from).collect();
        let recipe = match raw {
            RawRecipe::Command(command) => Self { command, ..Self::default() },
            RawRecipe::Full(FullRecipe { command, with, description, icon, inports, outports }) => Self {
                command,
                with,
                description,
                icon,
                inports: ports(inports),
                outports: ports(outports),
                file: None,
            },
        };
        if recipe.command.trim().is_empty() { Err("the command is empty") } else { Ok(recipe) }
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

/// Where a library comes from.
#[derive(Clone, Debug, Default)]
pub struct LibraryOrigin {
    /// Its file.
    pub file: Option<PathBuf>,
    /// The folder of components that are files.
    pub folder: Option<PathBuf>,
}

/// Which command runs which component.
#[derive(Clone, Debug, Default)]
pub struct Library {
    recipes: BTreeMap<ComponentName, Recipe>,
    variables: BTreeMap<String, String>,
    handlers: BTreeMap<String, String>,
    namespace: Option<String>,
    repository: Option<String>,
    folder: PathBuf,
    origin: LibraryOrigin,
}

/// Why a library cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the component library {} cannot be read: {reason}", path.display())]
pub struct LibraryError {
    /// The file or folder.
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
    repository: Option<RawRepository>,
    msgflo: Option<RawSection>,
    #[serde(flatten)]
    section: RawSection,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawSection {
    namespace: Option<String>,
    variables: BTreeMap<String, String>,
    handlers: BTreeMap<String, String>,
    components: BTreeMap<ComponentName, Recipe>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawRepository {
    Url(String),
    Full { url: String },
}

/// The first component that is not written as one, and why.
fn odd_component(text: &str) -> Option<(String, String)> {
    let library: serde_json::Value = serde_json::from_str(text).ok()?;
    let section = library.get("msgflo").unwrap_or(&library);
    section.get("components")?.as_object()?.iter().find_map(|(name, recipe)| {
        let reason = match recipe.as_object() {
            Some(recipe) if !recipe.contains_key("command") => "there is no `command`".to_owned(),
            Some(recipe) => FullRecipe::deserialize(serde_json::Value::from(recipe.clone()))
                .map(RawRecipe::Full)
                .map_err(|error| error.to_string())
                .and_then(|raw| Recipe::try_from(raw).map_err(str::to_owned))
                .err()?,
            None if recipe.is_string() => Recipe::deserialize(recipe).err().map(|error| error.to_string())?,
            None => "it is neither a command nor an object with one".to_owned(),
        };
        Some((name.clone(), reason))
    })
}

/// What a library's files were when they were last looked at: two of them are equal if nothing has changed.
pub type Fingerprint = BTreeMap<PathBuf, Option<(u64, SystemTime)>>;

impl Library {
    /// Reads a library from its file and its folder, as far as there are any.
    ///
    /// # Errors
    /// When one of them cannot be read, or the file is not a library.
    pub fn open(origin: LibraryOrigin) -> Result<Self, LibraryError> {
        let mut library = match &origin.file {
            Some(file) => Self::load(file)?,
            None => Self { handlers: sources::default_handlers(), ..Self::default() },
        };
        if let Some(folder) = &origin.folder {
            let failed = |error: std::io::Error| LibraryError {
                path: folder.clone(),
                reason: "the folder cannot be read".into(),
                source: Some(error.into()),
            };
            let files = sources::scan(folder, &library.handlers).map_err(failed)?;
            for (name, file) in files {
                let extension = file.extension().and_then(|it| it.to_str()).unwrap_or_default();
                let command = library.handlers.get(&format!(".{extension}")).cloned().unwrap_or_default();
                let file = std::path::absolute(&file).unwrap_or(file);
                let name = library.full_name(&name.into());
                library.recipes.insert(name, Recipe { command, file: Some(file), ..Recipe::default() });
            }
        }
        library.origin = origin;
        Ok(library)
    }

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
        let raw: RawLibrary = serde_json::from_str(text).map_err(|error| match odd_component(text) {
            Some((name, reason)) => {
                let place = format!("line {} column {}", error.line(), error.column());
                serde_json::Error::custom(format!("component `{name}`: {reason}, before {place}"))
            }
            None => error,
        })?;
        let section = raw.msgflo.unwrap_or(raw.section);
        let mut handlers = sources::default_handlers();
        handlers.extend(section.handlers);
        let mut library = Self {
            variables: section.variables,
            handlers,
            namespace: section.namespace.or(raw.name),
            repository: raw.repository.map(|repository| match repository {
                RawRepository::Url(url) | RawRepository::Full { url } => url,
            }),
            folder: folder.to_owned(),
            ..Self::default()
        };
        for (name, mut recipe) in section.components {
            recipe.with = recipe.with.iter().map(|name| library.full_name(name)).collect();
            library.recipes.insert(library.full_name(&name), recipe);
        }
        Ok(library)
    }

    /// Where it was read from.
    pub fn origin(&self) -> &LibraryOrigin {
        &self.origin
    }

    /// What goes before a component's name.
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// The URL of the sources of it all.
    pub fn repository(&self) -> Option<&str> {
        self.repository.as_deref()
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
    /// `#ROLES` becomes `Component=role,…` for all of them, `#IIPS` the initial packets as a JSON object by port, `#FILENAME`
    /// the component's file. Each is a part of one word of the command, whatever is in it.
    pub fn command(&self, recipe: &Recipe, roles: &[(Role, ComponentName)], initials: &str) -> CommandLine {
        let mut values: BTreeMap<&str, String> = BTreeMap::new();
        if let Some((role, component)) = roles.first() {
            let short = component.as_str().rsplit('/').next().unwrap_or_default();
            values.insert("ROLE", role.to_string());
            values.insert("COMPONENT", component.to_string());
            values.insert("COMPONENTNAME", short.to_owned());
        }
        if let Some(file) = &recipe.file {
            values.insert("FILENAME", file.display().to_string());
        }
        let pairs: Vec<_> = roles.iter().map(|(role, component)| format!("{component}={role}")).collect();
        values.insert("ROLES", pairs.join(","));
        values.insert("IIPS", initials.to_owned());
        let command = template::fill(&recipe.command, &self.variables, &values);
        let folder =
            if self.folder.as_os_str().is_empty() { PathBuf::from(".") } else { self.folder.clone() };
        CommandLine { command, folder }
    }

    /// The source of a component that is a file: its language and its text.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn source(&self, component: &ComponentName) -> Option<std::io::Result<(&'static str, String)>> {
        let file = self.recipe(component)?.file.as_ref()?;
        Some(std::fs::read_to_string(file).map(|text| (sources::language(file), text)))
    }

    /// Writes the source of a component into the folder, as a new file or over the old one. It is known after the library is
    /// opened again.
    ///
    /// # Errors
    /// When there is no folder, or the name or the language is not allowed.
    pub fn write_source(
        &self,
        component: &ComponentName,
        language: &str,
        code: &str,
    ) -> Result<(), SourceError> {
        let folder = self.origin.folder.as_ref().ok_or(SourceError::NoFolder)?;
        let full = self.full_name(component);
        let own = match &self.namespace {
            Some(namespace) => {
                full.as_str().strip_prefix(namespace.as_str()).and_then(|it| it.strip_prefix('/'))
            }
            None => Some(full.as_str()),
        };
        let name = own.ok_or_else(|| SourceError::ForeignName(component.to_string()))?;
        sources::write(folder, name, language, code, &self.handlers)
    }

    /// What its files are now.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut paths: Vec<PathBuf> = self.origin.file.iter().cloned().collect();
        if let Some(folder) = &self.origin.folder {
            paths.extend(sources::scan(folder, &self.handlers).unwrap_or_default().into_values());
        }
        paths.into_iter().map(|path| (path.clone(), sources::fingerprint(&path))).collect()
    }

    /// The programs that the components wanted call, each with how to install it where that is known.
    pub fn programs(
        &self,
        is_wanted: impl Fn(&ComponentName) -> bool,
    ) -> BTreeMap<String, Option<&'static str>> {
        let wanted = self.recipes.iter().filter(|(name, _)| is_wanted(name)).map(|(_, recipe)| recipe);
        let commands = wanted.map(|recipe| self.command(recipe, &[], "{}").command);
        let first = commands.filter_map(|command| shell_words::split(&command).ok()?.into_iter().next());
        first.map(|program| (program.clone(), sources::hint(&program))).collect()
    }
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
    fn a_component_that_is_not_one_is_named() {
        let said = |recipe: &str| {
            let text = format!(r#"{{"components": {{"ir/Fine": "run", "ir/Odd": {recipe}}}}}"#);
            let said = Library::parse(&text, Path::new(".")).unwrap_err().to_string();
            let (what, place) = said.rsplit_once(", before ").expect("it has a place");
            assert!(place.starts_with("line 1 column "), "{said}");
            what.to_owned()
        };
        assert_eq!(said("\" \""), "component `ir/Odd`: the command is empty");
        assert_eq!(said("7"), "component `ir/Odd`: it is neither a command nor an object with one");
        assert_eq!(said("{}"), "component `ir/Odd`: there is no `command`");
        assert_eq!(said(r#"{"command": ""}"#), "component `ir/Odd`: the command is empty");
        assert!(said(r#"{"command": "x", "with": 7}"#).starts_with("component `ir/Odd`: invalid type"));
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
