//! The subcommands but for the demo.

pub(crate) mod images;
pub(crate) mod load;
pub(crate) mod resize;
pub(crate) mod serve;

use std::path::PathBuf;

/// Where things are kept when nobody says: never in the folder where the program happens to be started.
fn data_folder() -> PathBuf {
    let folder =
        |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = folder("XDG_DATA_HOME").or_else(|| folder("HOME").map(|home| home.join(".local/share")));
    base.unwrap_or_else(std::env::temp_dir).join("imageresize")
}
