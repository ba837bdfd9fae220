//! systemd, by a double of `systemctl`: there is no service manager where tests run.

use std::path::PathBuf;

use guv::actuators::Systemd;
use guv::{Actuator, RoleConfig};
use tempfile::TempDir;

use super::conformance::{Bed, Trouble, conforms, refuses};
use super::{apply, count, role};

/// A `systemctl` that keeps units as files, and writes down what it is asked.
const SYSTEMCTL: &str = r#"#!/bin/sh
cd "$(dirname "$0")" || exit 9
echo "$*" >> calls
[ -f broken ] && { cat broken >&2; exit "$(cat status)"; }
[ "$1" = --user ] && shift
case "$1" in
  list-units)
    [ "$2 $3" = "--all --output=json" ] || exit 2
    separator=; printf '['
    for unit in units/${4}; do
      [ -e "$unit" ] || continue
      printf '%s{"unit":"%s","load":"loaded","active":"active","sub":"running","description":"w"}' "$separator" "${unit#units/}"
      separator=,
    done
    echo ']' ;;
  --no-block)
    verb=$2; shift 2
    for unit in "$@"; do
      case "$unit" in resize@*.service) ;; *) echo "Unit $unit not found." >&2; exit 5 ;; esac
      case "$verb" in start) touch "units/$unit" ;; stop) rm -f "units/$unit" ;; *) exit 2 ;; esac
    done ;;
  *) exit 2 ;;
esac
"#;

struct Double {
    folder: TempDir,
    systemd: Systemd,
}

impl Double {
    fn start() -> Self {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("systemctl");
        std::fs::create_dir(folder.path().join("units")).unwrap();
        std::fs::write(&program, SYSTEMCTL).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        Self { systemd: Systemd::calling(program), folder }
    }

    fn units(&self) -> Vec<PathBuf> {
        std::fs::read_dir(self.folder.path().join("units"))
            .unwrap()
            .map(|file| file.unwrap().path())
            .collect()
    }
}

#[guv::async_trait]
impl Bed for Double {
    fn actuator(&self) -> &dyn Actuator {
        &self.systemd
    }

    fn role(&self) -> RoleConfig {
        role("r: {actuator: {kind: systemd, unit: 'resize@', user: true}}")
    }

    fn unknown(&self) -> Option<RoleConfig> {
        // systemctl lists no unit of a template that is not there, which is none.
        None
    }

    async fn running(&self) -> u32 {
        u32::try_from(self.units().len()).unwrap()
    }

    async fn changes(&self) -> Option<usize> {
        let calls = std::fs::read_to_string(self.folder.path().join("calls")).unwrap_or_default();
        Some(calls.lines().filter(|call| call.contains("--no-block")).count())
    }
}

#[tokio::test]
async fn systemd_conforms() {
    let bed = Double::start();
    conforms(&bed).await;
    let calls = std::fs::read_to_string(bed.folder.path().join("calls")).unwrap();
    assert!(calls.contains("--user --no-block start resize@1.service resize@2.service\n"), "{calls}");
    assert!(
        calls.contains("--user --no-block stop resize@4.service resize@3.service resize@2.service\n"),
        "{calls}"
    );
}

#[tokio::test]
async fn those_just_started_boot_though_systemd_calls_them_active() {
    let bed = Double::start();
    let with = |boot: u32| {
        role(&format!("r: {{boot: {boot}, actuator: {{kind: systemd, unit: resize, user: true}}}}"))
    };
    let booting = async |systemd: &Systemd, boot| count(systemd, &with(boot)).await.unwrap().unwrap().booting;
    apply(&bed.systemd, &with(3600), 2).await.unwrap();
    assert_eq!(booting(&bed.systemd, 3600).await, Some(2));
    apply(&bed.systemd, &with(3600), 1).await.unwrap();
    assert_eq!(booting(&bed.systemd, 3600).await, Some(1));
    // Nobody knows of those that were there before guv.
    assert_eq!(booting(&Systemd::calling(bed.folder.path().join("systemctl")), 3600).await, Some(0));
    assert_eq!(booting(&bed.systemd, 0).await, Some(0));
}

#[tokio::test]
async fn systemd_refuses_by_what_systemctl_says() {
    let said = [
        (Trouble::Broken, "Failed to connect to bus: Connection refused", "1"),
        (Trouble::Refused, "Failed to start unit: Interactive authentication required.", "4"),
        (Trouble::Refused, "Access denied", "4"),
    ];
    for (trouble, text, status) in said {
        let bed = Double::start();
        std::fs::write(bed.folder.path().join("broken"), text).unwrap();
        std::fs::write(bed.folder.path().join("status"), status).unwrap();
        refuses(&bed, trouble).await;
    }
}

#[test]
fn a_unit_has_a_name_that_is_no_option() {
    let accepts = |text: &str| Systemd::new().accepts(&role(text));
    assert!(accepts("resize: {actuator: systemd}").is_ok());
    assert!(accepts("r: {actuator: {kind: systemd, unit: '--force'}}").is_err());
    assert!(accepts("r: {actuator: {kind: systemd, unit: 'a*'}}").is_err());
    assert!(accepts("r: {}").unwrap_err().contains("actuator: systemd"));
}
