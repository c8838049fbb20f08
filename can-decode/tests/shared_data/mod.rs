//! The DBC files, vectors and lists that several tests read, where they are at hand.
#![allow(dead_code, reason = "no test needs all of it")]
#![allow(unreachable_pub, reason = "a module of tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use can_decode::{Database, Finding};
use serde_json::Value;

/// The folder with the data; says whether it is there.
pub fn data() -> Option<PathBuf> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/can"));
    let found = path.is_dir();
    println!("{} shared CAN data", if found { "running over the" } else { "absent: the" });
    found.then(|| path.to_path_buf())
}

/// A database and its findings, or why the file is refused.
pub type Loaded = Result<(Database, Vec<Finding>), String>;

/// Every DBC file by folder and name.
pub fn databases(root: &Path) -> BTreeMap<String, Loaded> {
    let mut loaded = BTreeMap::new();
    for folder in fs::read_dir(root.join("dbc")).unwrap() {
        let folder = folder.unwrap().path();
        for file in fs::read_dir(&folder).unwrap() {
            let path = file.unwrap().path();
            let part = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_string();
            let name = format!("{}/{}", part(&folder), part(&path));
            let read = can_decode::dbc::read(&name, &fs::read(&path).unwrap());
            loaded.insert(name, read.map_err(|error| error.to_string()));
        }
    }
    loaded
}

/// A JSON file.
pub fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}
