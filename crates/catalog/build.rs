//! Lists the provider files, so that adding a provider is adding a file, and makes JSON of them.

use std::{env, fmt::Write as _, fs, path::Path};

#[path = "src/yaml.rs"]
#[expect(unreachable_pub, reason = "it is the library's own file")]
mod yaml;

fn main() {
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let folder = Path::new(&root).join("../../catalog/providers");
    println!("cargo:rerun-if-changed={}", folder.display());
    let mut names: Vec<String> = fs::read_dir(&folder)
        .expect("the catalogue's folder is part of the repository")
        .filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    let out = env::var("OUT_DIR").expect("cargo sets it");
    let mut list = String::from("[\n");
    for name in names {
        let text = fs::read_to_string(folder.join(format!("{name}.yaml"))).expect("the files can be read");
        let value = yaml::parse_yaml(&text).expect("the files are YAML");
        let file = Path::new(&out).join(format!("{name}.json"));
        fs::write(&file, value.to_string()).expect("the build folder is writable");
        let _ = writeln!(list, "    ({name:?}, include_str!({:?})),", file.display().to_string());
    }
    list.push_str("]\n");
    fs::write(Path::new(&out).join("files.rs"), list).expect("the build folder is writable");
}
