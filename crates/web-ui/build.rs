//! Has cargo look whether the page was built anew: which files it has is known when this crate is compiled.

fn main() {
    println!("cargo::rerun-if-changed=../../web/dist");
}
