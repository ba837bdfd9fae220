//! The operations of a role: when its workers were changed, or should have been.

use guv_model::{Role, Timestamp};
use rusqlite::params;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::Error;
use super::reader::{Reader, milliseconds, timestamp};

/// A change of the number of workers, or one that failed.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Operation {
    /// The role.
    #[schemars(with = "String")]
    pub role: Role,
    /// Unix seconds.
    #[schemars(with = "f64")]
    pub at: Timestamp,
    /// Workers before.
    pub from: Option<i64>,
    /// Workers asked for.
    pub to: i64,
    /// What became of it: `applied`, `planned` (in a dry run) or `failed`.
    pub outcome: String,
    /// Why, in one word: the kind of the reason.
    pub reason: String,
}

impl Reader {
    /// The newest operations of a role, or of all, in the order of time.
    ///
    /// # Errors
    /// [`Error::Access`] when the file cannot be read.
    pub fn operations(
        &self,
        role: Option<&Role>,
        from: Timestamp,
        to: Timestamp,
        limit: u32,
    ) -> Result<Vec<Operation>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT at, workers, target, json FROM decisions JOIN shapes ON shapes.id = shape
             WHERE role = ?1 AND at BETWEEN ?2 AND ?3 AND target IS NOT NULL AND target IS NOT workers
             ORDER BY at DESC LIMIT ?4",
        )?;
        let mut operations = Vec::new();
        for (id, role) in self.ids(role)? {
            let mut rows = statement.query(params![id, milliseconds(from), milliseconds(to), limit])?;
            while let Some(row) = rows.next()? {
                let json = row.get_ref(3)?.as_str().map_err(|error| Error::Malformed(error.to_string()))?;
                let shape: Value =
                    serde_json::from_str(json).map_err(|error| Error::Malformed(error.to_string()))?;
                let kind =
                    |path: &str| shape.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
                operations.push(Operation {
                    role: role.clone(),
                    at: timestamp(row.get(0)?),
                    from: row.get(1)?,
                    to: row.get(2)?,
                    outcome: kind("/outcome/kind"),
                    reason: kind("/decision/reason/kind"),
                });
            }
        }
        operations.sort_by_key(|operation| std::cmp::Reverse(operation.at));
        operations.truncate(limit as usize);
        operations.reverse();
        Ok(operations)
    }
}
